//! Typed indices into the vectors of a [`super::Problem`].

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// The position in the problem's vector.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl From<usize> for $name {
            /// # Panics
            /// Beyond 2³² entries, which validation refuses long before.
            fn from(index: usize) -> Self {
                Self(u32::try_from(index).expect("validated problems have fewer than 2^32 entries"))
            }
        }
    };
}

id!(
    /// A host of the problem.
    HostId
);
id!(
    /// A VM of the problem.
    VmId
);
id!(
    /// A resource of the problem.
    ResourceId
);
id!(
    /// A constraint of the problem.
    ConstraintId
);
id!(
    /// A scope of the problem.
    ScopeId
);
