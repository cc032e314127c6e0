//! Statistics of all domains at once, and of the node.

use std::{ffi::CStr, mem, os::raw::c_int, ptr};

use virt::{connect::Connect, domain::Domain, error::Error, sys};

use super::{check, fields::Fields};

/// Groups of figures to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// `state.*`, `cpu.*`, `balloon.*`, `vcpu.current`, `net.*`: what a report needs.
    pub usage: bool,
    /// `dirtyrate.*`.
    pub dirty_rate: bool,
}

/// Which domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Running or paused.
    Active,
    /// Those that are off too.
    All,
}

/// Figures of one domain.
#[derive(Clone, Debug, PartialEq)]
pub struct DomainRecord {
    /// Name of the domain.
    pub name: String,
    /// UUID, lower case with hyphens.
    pub uuid: String,
    /// The figures.
    pub fields: Fields,
}

/// Statistics of all domains in one call. It does not wait for domains that are busy (in a migration, say):
/// those come with fewer fields.
pub fn all_domain_stats(connect: &Connect, groups: Groups, which: Which) -> Result<Vec<DomainRecord>, Error> {
    let mut what = 0;
    if groups.usage {
        what |= sys::VIR_DOMAIN_STATS_STATE
            | sys::VIR_DOMAIN_STATS_CPU_TOTAL
            | sys::VIR_DOMAIN_STATS_BALLOON
            | sys::VIR_DOMAIN_STATS_VCPU
            | sys::VIR_DOMAIN_STATS_INTERFACE;
    }
    if groups.dirty_rate {
        what |= sys::VIR_DOMAIN_STATS_DIRTYRATE;
    }
    let flags = match which {
        Which::Active => {
            sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT | sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
        }
        Which::All => sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT,
    };
    let mut list: *mut sys::virDomainStatsRecordPtr = ptr::null_mut();
    // SAFETY: the connection is borrowed. On success `list` is ours: an array of `n` valid records, whose
    // domain and parameters belong to the record. All is copied, then the array is freed once with
    // everything in it.
    unsafe {
        let n = check(sys::virConnectGetAllDomainStats(connect.as_ptr(), what, &raw mut list, flags))?;
        let mut records = Vec::with_capacity(usize::try_from(n).unwrap_or(0));
        for i in 0..usize::try_from(n).unwrap_or(0) {
            let record = &**list.add(i);
            if let Some((name, uuid)) = name_and_uuid(record.dom) {
                records.push(DomainRecord {
                    name,
                    uuid,
                    fields: Fields::read(record.params, record.nparams),
                });
            }
        }
        sys::virDomainStatsRecordListFree(list);
        Ok(records)
    }
}

/// Name and UUID of a borrowed domain; both are kept in the client, so that no call goes out.
///
/// # Safety
/// `domain` is a valid domain for the length of the call.
pub(super) unsafe fn name_and_uuid(domain: sys::virDomainPtr) -> Option<(String, String)> {
    let mut buffer = [0; sys::VIR_UUID_STRING_BUFLEN as usize];
    // SAFETY: the domain is valid, the name is borrowed from it and copied; the buffer has the length
    // that libvirt asks for and is ended with a NUL byte on success.
    unsafe {
        let name = sys::virDomainGetName(domain);
        if name.is_null() || sys::virDomainGetUUIDString(domain, buffer.as_mut_ptr()) < 0 {
            return None;
        }
        Some((
            CStr::from_ptr(name).to_string_lossy().into_owned(),
            CStr::from_ptr(buffer.as_ptr()).to_string_lossy().into_owned(),
        ))
    }
}

/// CPU time of the node since its boot, all CPUs together, in ns: `user`, `kernel`, `idle`, `iowait`.
pub fn node_cpu_stats(connect: &Connect) -> Result<Vec<(String, u64)>, Error> {
    let all = sys::VIR_NODE_CPU_STATS_ALL_CPUS as c_int;
    let mut n = 0;
    // SAFETY: null with 0 asks for the number of figures only.
    check(unsafe { sys::virNodeGetCPUStats(connect.as_ptr(), all, ptr::null_mut(), &raw mut n, 0) })?;
    // SAFETY: the struct is plain integers, for which all zeros are a value.
    let mut list: Vec<sys::virNodeCPUStats> = vec![unsafe { mem::zeroed() }; usize::try_from(n).unwrap_or(0)];
    // SAFETY: the list has room for the `n` figures that the call may write.
    check(unsafe { sys::virNodeGetCPUStats(connect.as_ptr(), all, list.as_mut_ptr(), &raw mut n, 0) })?;
    list.truncate(usize::try_from(n).unwrap_or(0));
    // SAFETY: libvirt ends each name with a NUL byte within its 80 bytes.
    Ok(list.iter().map(|s| (unsafe { field_name(s.field.as_ptr()) }, s.value)).collect())
}

/// Memory of the node in KiB: `total`, `free`, `buffers`, `cached`.
pub fn node_memory_stats(connect: &Connect) -> Result<Vec<(String, u64)>, Error> {
    let all = sys::VIR_NODE_MEMORY_STATS_ALL_CELLS as c_int;
    let mut n = 0;
    // SAFETY: null with 0 asks for the number of figures only.
    check(unsafe { sys::virNodeGetMemoryStats(connect.as_ptr(), all, ptr::null_mut(), &raw mut n, 0) })?;
    // SAFETY: the struct is plain integers, for which all zeros are a value.
    let mut list: Vec<sys::virNodeMemoryStats> =
        vec![unsafe { mem::zeroed() }; usize::try_from(n).unwrap_or(0)];
    // SAFETY: the list has room for the `n` figures that the call may write.
    check(unsafe { sys::virNodeGetMemoryStats(connect.as_ptr(), all, list.as_mut_ptr(), &raw mut n, 0) })?;
    list.truncate(usize::try_from(n).unwrap_or(0));
    // SAFETY: libvirt ends each name with a NUL byte within its 80 bytes.
    Ok(list.iter().map(|s| (unsafe { field_name(s.field.as_ptr()) }, s.value)).collect())
}

/// # Safety
/// `name` points to bytes that end with a NUL byte.
unsafe fn field_name(name: *const std::os::raw::c_char) -> String {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

/// Begins to measure how fast a running domain writes its memory, by sampling pages over `seconds` (1 to
/// 60); read the result with [`all_domain_stats`] after that. The other modes of QEMU are left out on
/// purpose: dirty-bitmap has crashed VMs.
pub fn start_dirty_rate(domain: &Domain, seconds: u8) -> Result<(), Error> {
    let mode = sys::VIR_DOMAIN_DIRTYRATE_MODE_PAGE_SAMPLING;
    // SAFETY: the domain's pointer is valid while it is borrowed.
    check(unsafe { sys::virDomainStartDirtyRateCalc(domain.as_ptr(), c_int::from(seconds), mode) }).map(drop)
}
