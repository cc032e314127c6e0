//! libvirt's typed parameters: read into owned values, and built for a call.

use std::{
    ffi::{CStr, CString},
    os::raw::c_int,
    ptr, slice,
};

use virt::{error::Error, sys};

use super::check;

/// A value as libvirt sent it. Types of one field differ between versions, so read through [`Fields`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `int` or `long long`.
    Int(i64),
    /// `unsigned int` or `unsigned long long`.
    Uint(u64),
    /// `double`.
    Float(f64),
    /// `boolean`.
    Bool(bool),
    /// `string`.
    Text(String),
}

/// Named values of one answer, in libvirt's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(String, Value)>);

impl Fields {
    /// A number that is not negative; `None` when absent, negative or no integer.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.value(name)? {
            Value::Uint(v) => Some(*v),
            Value::Int(v) => u64::try_from(*v).ok(),
            _ => None,
        }
    }

    /// Any value by its name.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v))
    }

    /// Whether libvirt sent nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Copies what libvirt owns. Fields of a type unknown here are left out.
    ///
    /// # Safety
    /// `list` points to `n` initialised parameters for the length of this call, or `n` is 0 or less
    /// (`list` may be null then).
    pub(super) unsafe fn read(list: sys::virTypedParameterPtr, n: c_int) -> Self {
        let n = usize::try_from(n).unwrap_or(0);
        if n == 0 || list.is_null() {
            return Self::default(); // a slice must not be made of a null pointer
        }
        // SAFETY: not null, and the caller vouches for `n` initialised parameters.
        let list = unsafe { slice::from_raw_parts(list, n) };
        Self(list.iter().filter_map(read_one).collect())
    }
}

fn read_one(parameter: &sys::virTypedParameter) -> Option<(String, Value)> {
    let value = &parameter.value;
    // SAFETY: `type_` names the member of the union that libvirt has set. A string is null or ends with
    // a NUL byte, and lives as long as the parameter. No member is read for an unknown type.
    let value = unsafe {
        match u32::try_from(parameter.type_).ok()? {
            sys::VIR_TYPED_PARAM_INT => Value::Int(value.i.into()),
            sys::VIR_TYPED_PARAM_UINT => Value::Uint(value.ui.into()),
            sys::VIR_TYPED_PARAM_LLONG => Value::Int(value.l),
            sys::VIR_TYPED_PARAM_ULLONG => Value::Uint(value.ul),
            sys::VIR_TYPED_PARAM_DOUBLE => Value::Float(value.d),
            sys::VIR_TYPED_PARAM_BOOLEAN => Value::Bool(value.b != 0),
            sys::VIR_TYPED_PARAM_STRING if !value.s.is_null() => {
                Value::Text(CStr::from_ptr(value.s).to_string_lossy().into_owned())
            }
            _ => return None,
        }
    };
    // SAFETY: libvirt ends `field` with a NUL byte within its 80 bytes.
    let name = unsafe { CStr::from_ptr(parameter.field.as_ptr()) };
    Some((name.to_string_lossy().into_owned(), value))
}

impl FromIterator<(String, Value)> for Fields {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

/// Parameters for a call, in memory of libvirt's allocator.
pub(super) struct Builder {
    list: sys::virTypedParameterPtr,
    len: c_int,
    room: c_int,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self { list: ptr::null_mut(), len: 0, room: 0 }
    }

    pub(super) fn add_u64(&mut self, key: &CStr, value: u64) -> Result<(), Error> {
        // SAFETY: the three fields describe an array that libvirt itself keeps (null and 0 at first); it
        // copies the key, and reallocates the array as it grows.
        check(unsafe {
            sys::virTypedParamsAddULLong(
                &raw mut self.list,
                &raw mut self.len,
                &raw mut self.room,
                key.as_ptr(),
                value,
            )
        })
        .map(drop)
    }

    pub(super) fn add_int(&mut self, key: &CStr, value: i32) -> Result<(), Error> {
        // SAFETY: as in `add_u64`.
        check(unsafe {
            sys::virTypedParamsAddInt(
                &raw mut self.list,
                &raw mut self.len,
                &raw mut self.room,
                key.as_ptr(),
                value,
            )
        })
        .map(drop)
    }

    pub(super) fn add_text(&mut self, key: &CStr, value: &str) -> Result<(), Error> {
        let value = CString::new(value)?;
        // SAFETY: as in `add_u64`; the value is copied too.
        check(unsafe {
            sys::virTypedParamsAddString(
                &raw mut self.list,
                &raw mut self.len,
                &raw mut self.room,
                key.as_ptr(),
                value.as_ptr(),
            )
        })
        .map(drop)
    }

    /// Array and length, valid until `self` changes or goes.
    pub(super) fn as_raw(&self) -> (sys::virTypedParameterPtr, u32) {
        (self.list, u32::try_from(self.len).unwrap_or(0))
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // SAFETY: array and length belong together, come from libvirt and are freed only here; null with
        // 0 is allowed.
        unsafe { sys::virTypedParamsFree(self.list, self.len) }
    }
}
