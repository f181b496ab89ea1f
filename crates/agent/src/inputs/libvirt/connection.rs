//! A connection to libvirt. Unsafe are the calls that the binding lacks or returns as bare pointers.

use std::ffi::{CStr, c_int, c_uint};
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

use skywatch_model::FieldValue;
use virt::connect::Connect;
use virt::domain::Domain as Handle;
use virt::error::{Error, ErrorNumber};
use virt::sys;

use super::details::{Details, Nova};
use super::options::{Options, Selection};
use super::points::{Domain, Pin};

/// Running, paused, shut off and any other state: all there are.
const ALL_STATES: u32 = sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING
    | sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_PAUSED
    | sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_SHUTOFF
    | sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_OTHER;
/// Only domains that run or are paused.
const ACTIVE: u32 = sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE;
/// The names under which versions of OpenStack's nova keep an instance in the metadata of its domain.
const NOVA_NAMESPACES: [&str; 2] =
    ["http://openstack.org/xmlns/libvirt/nova/1.1", "http://openstack.org/xmlns/libvirt/nova/1.0"];
/// A domain that is busy with another job tells what it can without waiting for its end.
const NOWAIT: u32 = sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;
/// A peer that answers no ping for so many intervals is gone, and every call to it fails.
const KEEPALIVE_SECONDS: i32 = 5;
const KEEPALIVE_MISSES: u32 = 4;
/// Until the event loop is tried again after it failed.
const EVENT_LOOP_PAUSE: Duration = Duration::from_secs(1);

/// A connection, closed when dropped.
pub(super) struct Connection {
    connect: Connect,
    /// Cleared when the daemon is too old to know it.
    nowait: u32,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // What remains of a failed connection is freed all the same.
        self.connect.close().ok();
    }
}

impl Connection {
    /// Connects for reading only: nothing else is needed, and no privilege is either.
    pub(super) fn open(options: &Options) -> Result<Self, Error> {
        prepare_library();
        let connect = options.credentials.open_read_only(&options.connect_uri)?;
        let connection = Self { connect, nowait: NOWAIT };
        // Not every driver has a peer to ping.
        connection.connect.set_keep_alive(KEEPALIVE_SECONDS, KEEPALIVE_MISSES).ok();
        Ok(connection)
    }

    /// Whether the peer is still there, as far as is known without asking it.
    pub(super) fn is_alive(&self) -> bool {
        self.connect.is_alive().unwrap_or(false)
    }

    /// The domains selected.
    pub(super) fn list(&self, selection: &Selection) -> Result<Vec<Handle>, Error> {
        let mut handles = self.connect.list_all_domains(states(selection))?;
        if !selection.takes_all_names() {
            handles.retain(|handle| handle.get_name().is_ok_and(|name| selection.takes(&name)));
        }
        Ok(handles)
    }

    /// The statistics of all domains with one call; their names are not looked at.
    pub(super) fn all_stats(&mut self, options: &Options) -> Result<Vec<Domain>, Error> {
        let states = states(&options.selection);
        self.with_or_without_nowait(|connect, nowait, records| {
            // SAFETY: the connection is open while `connect` lives; `records` points to a null
            // pointer that the call sets to an array it allocates.
            unsafe {
                sys::virConnectGetAllDomainStats(connect.as_ptr(), options.groups, records, states | nowait)
            }
        })
    }

    /// The statistics of some domains, of which those that vanished are left out. `handles` must
    /// not be empty.
    pub(super) fn stats_of(&mut self, handles: &[Handle], groups: u32) -> Result<Vec<Domain>, Error> {
        let mut pointers: Vec<sys::virDomainPtr> = handles.iter().map(Handle::as_ptr).collect();
        pointers.push(ptr::null_mut());
        self.with_or_without_nowait(move |_, nowait, records| {
            // SAFETY: `pointers` is a null-terminated array of domains that `handles` keeps alive
            // and that belong to one connection; `records` as in `all_stats`.
            unsafe { sys::virDomainListGetStats(pointers.as_mut_ptr(), groups, records, nowait) }
        })
    }

    fn with_or_without_nowait(
        &mut self,
        mut call: impl FnMut(&Connect, c_uint, *mut *mut sys::virDomainStatsRecordPtr) -> c_int,
    ) -> Result<Vec<Domain>, Error> {
        loop {
            let mut records = Records(ptr::null_mut());
            let count = call(&self.connect, self.nowait, &mut records.0);
            if count >= 0 {
                return Ok(records.read(count));
            }
            let error = Error::last_error();
            let unknown_flag =
                matches!(error.code(), ErrorNumber::InvalidArg | ErrorNumber::ArgumentUnsupported);
            if self.nowait == 0 || !unknown_flag {
                return Err(error);
            }
            self.nowait = 0;
        }
    }

    /// The domain's title and what nova noted, as far as they are wanted and there.
    pub(super) fn details(&self, handle: &Handle, options: &Options) -> Result<Details, Error> {
        let mut details = Details::default();
        if options.points.title_tag {
            details.title = metadata(handle, sys::VIR_DOMAIN_METADATA_TITLE, None)?;
        }
        if options.points.nova_tags {
            for namespace in NOVA_NAMESPACES {
                let xml = metadata(handle, sys::VIR_DOMAIN_METADATA_ELEMENT, Some(namespace))?;
                details.nova = details.nova.or_else(|| xml.and_then(|xml| Nova::parse(&xml)));
            }
        }
        Ok(details)
    }

    /// How many CPUs the host has, those that are offline included.
    pub(super) fn host_cpus(&self) -> Result<usize, Error> {
        // SAFETY: the connection is open; null pointers ask for the count alone.
        let cpus =
            unsafe { sys::virNodeGetCPUMap(self.connect.as_ptr(), ptr::null_mut(), ptr::null_mut(), 0) };
        usize::try_from(cpus).map_err(|_| Error::last_error())
    }

    /// Where the domain's vCPUs may run, and run; the host has `cpus` CPUs.
    pub(super) fn pins(&self, handle: &Handle, cpus: usize) -> Result<Vec<Pin>, Error> {
        let vcpus = usize::try_from(handle.get_info()?.nr_virt_cpu).unwrap_or(0);
        if vcpus == 0 || cpus == 0 {
            return Ok(Vec::new());
        }
        let mut maps = CpuMaps::new(vcpus, cpus);
        let mut infos = vec![sys::virVcpuInfo { number: 0, state: 0, cpuTime: 0, cpu: -1 }; vcpus];
        // SAFETY: `infos` has room for `vcpus` entries, the maps for as many of `width` bytes each.
        let known = unsafe {
            sys::virDomainGetVcpus(
                handle.as_ptr(),
                infos.as_mut_ptr(),
                maps.count,
                maps.bytes.as_mut_ptr(),
                maps.width,
            )
        };
        if let Ok(known) = usize::try_from(known) {
            let current = |info: &sys::virVcpuInfo| u32::try_from(info.cpu).ok();
            return Ok(infos
                .iter()
                .take(known)
                .enumerate()
                .map(|(at, info)| Pin { vcpu: info.number, cpus: maps.cpus(at), current: current(info) })
                .collect());
        }
        // A domain that does not run has only its configuration.
        // SAFETY: the maps have room for `vcpus` maps of `width` bytes each.
        let known = unsafe {
            sys::virDomainGetVcpuPinInfo(handle.as_ptr(), maps.count, maps.bytes.as_mut_ptr(), maps.width, 0)
        };
        let known = usize::try_from(known).map_err(|_| Error::last_error())?;
        let pin = |at: usize| Pin {
            vcpu: u32::try_from(at).unwrap_or(u32::MAX),
            cpus: maps.cpus(at),
            current: None,
        };
        Ok((0..known).map(pin).collect())
    }
}

/// The flags for the states of the domains selected.
fn states(selection: &Selection) -> u32 {
    if selection.active_only { ACTIVE } else { ALL_STATES }
}

/// Part of a domain's metadata; `None` if it has none of it.
fn metadata(handle: &Handle, kind: c_uint, namespace: Option<&str>) -> Result<Option<String>, Error> {
    match handle.get_metadata(kind.cast_signed(), namespace, 0) {
        Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Err(error) if error.code() == ErrorNumber::NoDomainMetadata => Ok(None),
        Err(error) => Err(error),
    }
}

/// One bitmap of the host's CPUs for each vCPU.
struct CpuMaps {
    bytes: Vec<u8>,
    count: c_int,
    width: c_int,
}

impl CpuMaps {
    fn new(vcpus: usize, cpus: usize) -> Self {
        let width = cpus.div_ceil(8);
        let int = |n: usize| c_int::try_from(n).unwrap_or(c_int::MAX);
        Self { bytes: vec![0; vcpus * width], count: int(vcpus), width: int(width) }
    }

    fn cpus(&self, vcpu: usize) -> Vec<usize> {
        let width = self.width.unsigned_abs() as usize;
        let map = self.bytes.get(vcpu * width..(vcpu + 1) * width).unwrap_or_default();
        (0..map.len() * 8).filter(|bit| map[bit / 8] & (1 << (bit % 8)) != 0).collect()
    }
}

/// The array of records that libvirt allocated, or null.
struct Records(*mut sys::virDomainStatsRecordPtr);

impl Drop for Records {
    fn drop(&mut self) {
        // SAFETY: null, or an array from libvirt that nobody else frees; it holds no longer borrowed
        // data, since `read` copies.
        unsafe { sys::virDomainStatsRecordListFree(self.0) }
    }
}

impl Records {
    /// Copies `count` records, as many as libvirt said there are.
    fn read(&self, count: c_int) -> Vec<Domain> {
        let count = usize::try_from(count).unwrap_or(0);
        if self.0.is_null() {
            return Vec::new();
        }
        // SAFETY: the array has `count` valid pointers to records, which live until it is freed.
        let records = unsafe { std::slice::from_raw_parts(self.0, count) };
        records
            .iter()
            .filter_map(|record| {
                // SAFETY: as above; records are never changed after the call.
                let record = unsafe { record.as_ref() }?;
                let params = match usize::try_from(record.nparams) {
                    Ok(count) if count > 0 && !record.params.is_null() => {
                        // SAFETY: the record has `nparams` parameters.
                        unsafe { std::slice::from_raw_parts(record.params, count) }
                    }
                    _ => &[],
                };
                let (name, uuid) = identity(record.dom)?;
                Some(Domain {
                    name,
                    uuid,
                    params: params.iter().filter_map(param).collect(),
                    ..Domain::default()
                })
            })
            .collect()
    }
}

/// Name and UUID, which the client knows without asking the daemon.
fn identity(domain: sys::virDomainPtr) -> Option<(String, String)> {
    // SAFETY: `domain` is that of a record not yet freed. The name belongs to it and is copied.
    let name = unsafe {
        let name = sys::virDomainGetName(domain);
        if name.is_null() {
            return None;
        }
        CStr::from_ptr(name).to_string_lossy().into_owned()
    };
    let mut uuid = [0; sys::VIR_UUID_STRING_BUFLEN as usize];
    // SAFETY: the buffer has the length that libvirt demands.
    if unsafe { sys::virDomainGetUUIDString(domain, uuid.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call has filled the buffer with text and its terminating zero.
    let uuid = unsafe { CStr::from_ptr(uuid.as_ptr()) };
    Some((name, uuid.to_string_lossy().into_owned()))
}

/// Keeps libvirt's type; a boolean arrives as the integer 0 or 1.
fn param(param: &sys::virTypedParameter) -> Option<(String, FieldValue)> {
    let key: Vec<u8> = param.field.iter().take_while(|&&c| c != 0).map(|&c| c.cast_unsigned()).collect();
    let value = param.value;
    // SAFETY: the type tells which member of the union is set.
    let value = unsafe {
        match c_uint::try_from(param.type_).ok()? {
            sys::VIR_TYPED_PARAM_INT => FieldValue::Integer(i64::from(value.i)),
            sys::VIR_TYPED_PARAM_UINT => FieldValue::Unsigned(u64::from(value.ui)),
            sys::VIR_TYPED_PARAM_LLONG => FieldValue::Integer(value.l),
            sys::VIR_TYPED_PARAM_ULLONG => FieldValue::Unsigned(value.ul),
            sys::VIR_TYPED_PARAM_DOUBLE => FieldValue::Float(value.d),
            sys::VIR_TYPED_PARAM_BOOLEAN => FieldValue::Integer(i64::from(value.b != 0)),
            sys::VIR_TYPED_PARAM_STRING if !value.s.is_null() => {
                FieldValue::String(CStr::from_ptr(value.s).to_string_lossy().into())
            }
            _ => return None,
        }
    };
    Some((String::from_utf8_lossy(&key).into_owned(), value))
}

/// Once in a process: errors are returned and not printed, and a thread runs the event loop that
/// pings peers. The loop has to be registered before the first connection.
fn prepare_library() {
    static PREPARED: OnceLock<()> = OnceLock::new();
    PREPARED.get_or_init(|| {
        virt::error::clear_error_callback();
        if virt::event::event_register_default_impl().is_err() {
            return;
        }
        // Without the thread nobody pings; deadlines hold all the same.
        let thread = std::thread::Builder::new().name("libvirt-events".to_owned());
        thread.spawn(run_events).ok();
    });
}

fn run_events() {
    loop {
        if virt::event::event_run_default_impl().is_err() {
            std::thread::sleep(EVENT_LOOP_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_cpus() {
        let mut maps = CpuMaps::new(2, 10);
        maps.bytes.copy_from_slice(&[0b1000_0001, 0b10, 0, 0]);
        assert_eq!(maps.cpus(0), [0, 7, 9]);
        assert_eq!(maps.cpus(1), Vec::<usize>::new());
        assert_eq!(maps.cpus(2), Vec::<usize>::new());
    }
}
