//! Real hypervisors through libvirt.
