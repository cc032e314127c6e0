//! Events: the loop that delivers them, and their registration on a connection.

use std::{
    os::raw::{c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use virt::{connect::Connect, error::Error, event, sys};

use super::{check, fields::Fields, stats::name_and_uuid};

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A domain has changed its state.
    Lifecycle {
        /// Name of the domain.
        name: String,
        /// Its UUID.
        uuid: String,
        /// What kind of change.
        change: Lifecycle,
        /// libvirt's detail of that kind.
        detail: i32,
    },
    /// An outgoing migration has begun a further pass over the memory.
    MigrationIteration {
        /// UUID of the domain.
        uuid: String,
        /// Which pass, from 1.
        iteration: i32,
    },
    /// A job of a domain has succeeded.
    JobCompleted {
        /// UUID of the domain.
        uuid: String,
        /// Its figures.
        figures: Fields,
    },
    /// The connection is dead: open a new one and read everything again.
    Closed(CloseReason),
}

/// Kind of a lifecycle event (`virDomainEventType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// A definition was added or changed.
    Defined,
    /// A definition was removed.
    Undefined,
    /// Started, incoming migrations included.
    Started,
    /// Stopped for a while, hand-over of a migration included.
    Suspended,
    /// Goes on.
    Resumed,
    /// Ended, moved away included.
    Stopped,
    /// Any other.
    Other,
}

/// Why a connection has closed (`virConnectCloseReason`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Some error of the transport.
    Error,
    /// The daemon has ended.
    EndOfFile,
    /// The daemon did not answer for some 7 s.
    KeepAlive,
    /// Closed by this side.
    Client,
}

/// Starts libvirt's event loop on a thread of its own; once per process, further calls do nothing. Must
/// come before the first [`super::open`]: a connection from before has neither events nor keep-alive.
///
/// # Errors
/// When libvirt or the system refuse; the same answer each time.
pub fn start_event_loop() -> Result<(), String> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    STARTED
        .get_or_init(|| begin_loop().map_err(|e| format!("cannot start libvirt's event loop: {e}")))
        .clone()
}

fn begin_loop() -> Result<(), Box<dyn std::error::Error>> {
    unsafe extern "C" fn tick(_timer: c_int, _opaque: *mut c_void) {}
    virt::error::clear_error_callback(); // else libvirt prints each error to stderr
    event::event_register_default_impl()?;
    // SAFETY: the function has the type asked for, uses no context, and lives as long as the process.
    // The tick keeps the loop turning when nothing happens, so that it notices new handles.
    check(unsafe { sys::virEventAddTimeout(1000, Some(tick), ptr::null_mut(), None) })?;
    thread::Builder::new().name("libvirt-events".into()).spawn(|| {
        loop {
            if event::event_run_default_impl().is_err() {
                thread::sleep(Duration::from_millis(100)); // never spin
            }
        }
    })?;
    Ok(())
}

/// Called on libvirt's threads, also in the middle of another call: it must neither block nor call libvirt.
type Handler = Arc<dyn Fn(Event) + Send + Sync>;

/// The registrations of one connection. They hold a reference on it, so that it closes only after this is
/// dropped.
pub struct Registrations {
    connect: Connect,
    callbacks: Vec<c_int>,
    close_callback: bool,
}

impl Registrations {
    /// Registers `handler` for all kinds of [`Event`]. It must not block and not call libvirt: copy, and send
    /// into a bounded channel. A panic in it is caught and logged.
    pub fn new(connect: &Connect, handler: impl Fn(Event) + Send + Sync + 'static) -> Result<Self, Error> {
        let handler: Handler = Arc::new(handler);
        // What was registered before an error is taken back by the drop of `made`.
        let mut made = Self { connect: connect.clone(), callbacks: Vec::new(), close_callback: false };
        // SAFETY: the four casts are of the callback types that libvirt documents for their event ids;
        // libvirt calls each with exactly those arguments, whatever the type in the signature says.
        unsafe {
            let lifecycle: LifecycleFn = on_lifecycle;
            let iteration: IterationFn = on_iteration;
            let completed: CompletedFn = on_completed;
            made.add(
                sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                std::mem::transmute::<LifecycleFn, GenericFn>(lifecycle),
                &handler,
            )?;
            made.add(
                sys::VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION,
                std::mem::transmute::<IterationFn, GenericFn>(iteration),
                &handler,
            )?;
            made.add(
                sys::VIR_DOMAIN_EVENT_ID_JOB_COMPLETED,
                std::mem::transmute::<CompletedFn, GenericFn>(completed),
                &handler,
            )?;
        }
        // The test driver has no wire that could break; it accepts the callback and never frees its context.
        if connect.driver_type()? == "TEST" {
            return Ok(made);
        }
        let context = into_context(handler);
        // SAFETY: the context is freed by libvirt through `free_context`, once, or below if libvirt refuses.
        let result = unsafe {
            check(sys::virConnectRegisterCloseCallback(
                connect.as_ptr(),
                Some(on_close),
                context,
                Some(free_context),
            ))
        };
        if let Err(e) = result {
            // SAFETY: libvirt has not taken the context over.
            unsafe { free_context(context) };
            return Err(e);
        }
        made.close_callback = true;
        Ok(made)
    }

    /// # Safety
    /// `function` is of the type that belongs to event `id`, cast.
    unsafe fn add(&mut self, id: u32, function: GenericFn, handler: &Handler) -> Result<(), Error> {
        let context = into_context(Arc::clone(handler));
        // SAFETY: `function` fits by the caller's promise. The context is freed by libvirt through
        // `free_context`, once, or below if libvirt refuses. Null = all domains.
        let result = unsafe {
            check(sys::virConnectDomainEventRegisterAny(
                self.connect.as_ptr(),
                ptr::null_mut(),
                id.cast_signed(),
                Some(function),
                context,
                Some(free_context),
            ))
        };
        match result {
            Ok(callback) => {
                self.callbacks.push(callback);
                Ok(())
            }
            Err(e) => {
                // SAFETY: libvirt has not taken the context over.
                unsafe { free_context(context) };
                Err(e)
            }
        }
    }
}

impl Drop for Registrations {
    fn drop(&mut self) {
        // On a dead connection both calls report an error and clean up all the same; a close callback that
        // has fired is gone already.
        for id in self.callbacks.drain(..) {
            // SAFETY: the connection is held by `self`, the id comes from it and is used once.
            unsafe { sys::virConnectDomainEventDeregisterAny(self.connect.as_ptr(), id) };
        }
        if self.close_callback {
            // SAFETY: the connection is held by `self`; the function is the one registered.
            unsafe { sys::virConnectUnregisterCloseCallback(self.connect.as_ptr(), Some(on_close)) };
        }
    }
}

type GenericFn = unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *mut c_void);
type LifecycleFn =
    unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, c_int, c_int, *mut c_void) -> c_int;
type IterationFn = unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, c_int, *mut c_void);
type CompletedFn = unsafe extern "C" fn(
    sys::virConnectPtr,
    sys::virDomainPtr,
    sys::virTypedParameterPtr,
    c_int,
    *mut c_void,
);

fn into_context(handler: Handler) -> *mut c_void {
    Box::into_raw(Box::new(handler)).cast()
}

unsafe extern "C" fn free_context(context: *mut c_void) {
    // SAFETY: made by `into_context`, given back once. Dropping a handler may drop what it has captured,
    // whose panic must not reach C.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(context.cast::<Handler>()) })));
}

/// # Safety
/// `context` was made by `into_context` and is not freed before this returns.
unsafe fn deliver(context: *mut c_void, make: impl FnOnce() -> Option<Event>) {
    // SAFETY: the caller's promise; libvirt frees a context only after its last call has returned.
    let handler = unsafe { &*context.cast::<Handler>() };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        if let Some(event) = make() {
            handler(event);
        }
    }));
    if outcome.is_err() {
        tracing::error!("a handler of libvirt events has panicked; the event is lost");
    }
}

unsafe extern "C" fn on_lifecycle(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    kind: c_int,
    detail: c_int,
    context: *mut c_void,
) -> c_int {
    // SAFETY: libvirt lends domain and context for the length of this call.
    unsafe {
        deliver(context, || {
            let (name, uuid) = name_and_uuid(domain)?;
            Some(Event::Lifecycle { name, uuid, change: lifecycle(kind), detail })
        });
    }
    0
}

unsafe extern "C" fn on_iteration(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    iteration: c_int,
    context: *mut c_void,
) {
    // SAFETY: libvirt lends domain and context for the length of this call.
    unsafe {
        deliver(context, || {
            name_and_uuid(domain).map(|(_, uuid)| Event::MigrationIteration { uuid, iteration })
        });
    }
}

unsafe extern "C" fn on_completed(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    list: sys::virTypedParameterPtr,
    n: c_int,
    context: *mut c_void,
) {
    // SAFETY: libvirt lends domain, parameters and context for the length of this call.
    unsafe {
        deliver(context, || {
            let (_, uuid) = name_and_uuid(domain)?;
            Some(Event::JobCompleted { uuid, figures: Fields::read(list, n) })
        });
    }
}

unsafe extern "C" fn on_close(_: sys::virConnectPtr, reason: c_int, context: *mut c_void) {
    let reason = match u32::try_from(reason) {
        Ok(sys::VIR_CONNECT_CLOSE_REASON_EOF) => CloseReason::EndOfFile,
        Ok(sys::VIR_CONNECT_CLOSE_REASON_KEEPALIVE) => CloseReason::KeepAlive,
        Ok(sys::VIR_CONNECT_CLOSE_REASON_CLIENT) => CloseReason::Client,
        _ => CloseReason::Error,
    };
    // SAFETY: libvirt lends the context for the length of this call.
    unsafe { deliver(context, || Some(Event::Closed(reason))) };
}

fn lifecycle(kind: c_int) -> Lifecycle {
    match u32::try_from(kind) {
        Ok(sys::VIR_DOMAIN_EVENT_DEFINED) => Lifecycle::Defined,
        Ok(sys::VIR_DOMAIN_EVENT_UNDEFINED) => Lifecycle::Undefined,
        Ok(sys::VIR_DOMAIN_EVENT_STARTED) => Lifecycle::Started,
        Ok(sys::VIR_DOMAIN_EVENT_SUSPENDED) => Lifecycle::Suspended,
        Ok(sys::VIR_DOMAIN_EVENT_RESUMED) => Lifecycle::Resumed,
        Ok(sys::VIR_DOMAIN_EVENT_STOPPED) => Lifecycle::Stopped,
        _ => Lifecycle::Other,
    }
}
