//! Real hypervisors through libvirt.

pub mod ffi;
