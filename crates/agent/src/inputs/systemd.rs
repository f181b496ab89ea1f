//! Asking systemd over D-Bus (`org.freedesktop.systemd1`): the units there are, and their properties.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::filter::glob::Globs;
use crate::input::GatherError;
use crate::net::dbus::{Bus, BusError, Method, Value};
use crate::paths::HostPaths;

/// Unless whoever asks has a time limit of its own.
const PATIENCE: Duration = Duration::from_secs(5);

const DESTINATION: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNKNOWN_METHOD: &str = "org.freedesktop.DBus.Error.UnknownMethod";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// A connection to systemd.
#[derive(Debug)]
pub(super) struct Systemd {
    bus: Bus,
    /// Of the bus, for messages.
    address: String,
}

/// What systemd lists of a unit it has loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) load: String,
    pub(super) active: String,
    pub(super) sub: String,
    /// Of its object.
    pub(super) path: String,
}

/// Properties of an object, by their names.
pub(super) type Properties = BTreeMap<String, Value>;

impl Systemd {
    /// Connects to the system's.
    pub(super) fn connect(paths: &HostPaths) -> Result<Self, GatherError> {
        Self::connect_to(&paths.system_bus(), PATIENCE)
    }

    pub(super) fn connect_to(address: &str, patience: Duration) -> Result<Self, GatherError> {
        match Bus::connect(address, patience) {
            Ok(bus) => Ok(Self { bus, address: address.to_owned() }),
            Err(error) => Err(failed(address, &error)),
        }
    }

    /// Until when calls are to be answered from here on.
    pub(super) fn within(&mut self, patience: Duration) {
        self.bus.within(patience);
    }

    /// The loaded units whose names match one of the globs.
    pub(super) fn units(&mut self, globs: &[String]) -> Result<Vec<Unit>, GatherError> {
        let none = Value::Array(Vec::new());
        let listed = match self.manager("ListUnitsByPatterns", &[none, texts(globs)]) {
            // Of systemd before 230.
            Err(BusError::Method { name, .. }) if name == UNKNOWN_METHOD => self.manager("ListUnits", &[]),
            other => other,
        };
        let listed = listed.map_err(|error| failed(&self.address, &error))?;
        let matcher = self.globs(globs)?;
        let units = first(listed).into_items().into_iter().filter_map(unit);
        Ok(units.filter(|unit| matcher.matches(&unit.name)).collect())
    }

    /// Names of the units that match: loaded ones, and a name without a glob as it is.
    pub(super) fn matching(&mut self, names: &[String]) -> Result<Vec<String>, GatherError> {
        let is_glob = |name: &&String| name.contains(['*', '?', '[']);
        let globs: Vec<_> = names.iter().filter(is_glob).cloned().collect();
        let mut found: Vec<_> = names.iter().filter(|name| !is_glob(name)).cloned().collect();
        if !globs.is_empty() {
            found.extend(self.units(&globs)?.into_iter().map(|unit| unit.name));
        }
        Ok(found)
    }

    /// Files of units that are switched off and whose names match, as names of units.
    pub(super) fn disabled(&mut self, globs: &[String]) -> Result<Vec<String>, GatherError> {
        let disabled = texts(&["disabled".to_owned()]);
        let listed = self.manager("ListUnitFilesByPatterns", &[disabled, texts(globs)]);
        let listed = listed.map_err(|error| failed(&self.address, &error))?;
        let matcher = self.globs(globs)?;
        let names = first(listed).into_items().into_iter().filter_map(|file| {
            let path = file.into_items().into_iter().next()?.into_text()?;
            Some(path.rsplit('/').next()?.to_owned())
        });
        Ok(names.filter(|name| matcher.matches(name)).collect())
    }

    /// The object of a unit, which is loaded if need be.
    pub(super) fn load(&mut self, name: &str) -> Result<String, GatherError> {
        let answer = self.manager("LoadUnit", &[Value::Text(name.to_owned())]);
        let answer = answer.map_err(|error| failed(&self.address, &error))?;
        Ok(first(answer).into_text().unwrap_or_default())
    }

    /// All properties of an object that one of its interfaces (`Unit`, `Service` ...) has.
    pub(super) fn properties(&mut self, path: &str, interface: &str) -> Result<Properties, GatherError> {
        let interface = Value::Text(format!("{DESTINATION}.{interface}"));
        let answer = self.call(path, "org.freedesktop.DBus.Properties", "GetAll", &[interface]);
        let answer = answer.map_err(|error| failed(&self.address, &error))?;
        let entry = |entry: Value| {
            let mut parts = entry.into_items().into_iter();
            Some((parts.next()?.into_text()?, parts.next()?))
        };
        Ok(first(answer).into_items().into_iter().filter_map(entry).collect())
    }

    /// The main process of a service; `None` if it does not run or is no service, or there is no such unit.
    pub(super) fn main_pid(&mut self, name: &str) -> Result<Option<i32>, GatherError> {
        let value = self.service_property(name, "MainPID")?;
        let Some(Value::Unsigned(pid)) = value else { return Ok(None) };
        Ok(i32::try_from(pid).ok().filter(|&pid| pid > 0))
    }

    /// The control group of a service; `None` if it has none.
    pub(super) fn control_group(&mut self, name: &str) -> Result<Option<String>, GatherError> {
        let value = self.service_property(name, "ControlGroup")?;
        Ok(value.and_then(Value::into_text).filter(|path| !path.is_empty()))
    }

    fn service_property(&mut self, name: &str, property: &str) -> Result<Option<Value>, GatherError> {
        let name = if name.contains('.') { name.to_owned() } else { format!("{name}.service") };
        let path = match self.manager("GetUnit", &[Value::Text(name)]) {
            Ok(answer) => first(answer).into_text().unwrap_or_default(),
            Err(BusError::Method { name, .. }) if name == NO_SUCH_UNIT => return Ok(None),
            Err(error) => return Err(failed(&self.address, &error)),
        };
        let of = [format!("{DESTINATION}.Service"), property.to_owned()].map(Value::Text);
        match self.call(&path, "org.freedesktop.DBus.Properties", "Get", &of) {
            Ok(answer) => Ok(Some(first(answer))),
            Err(error) if error.is_answer() => Ok(None),
            Err(error) => Err(failed(&self.address, &error)),
        }
    }

    fn manager(&mut self, member: &str, arguments: &[Value]) -> Result<Vec<Value>, BusError> {
        self.call("/org/freedesktop/systemd1", MANAGER, member, arguments)
    }

    fn call(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
        arguments: &[Value],
    ) -> Result<Vec<Value>, BusError> {
        self.bus.call(Method { destination: DESTINATION, path, interface, member }, arguments)
    }

    fn globs(&self, globs: &[String]) -> Result<Globs, GatherError> {
        let failed = |reason| GatherError::Service { service: "systemd".to_owned(), reason };
        Globs::compile(globs, "").map_err(failed)
    }
}

fn failed(address: &str, error: &BusError) -> GatherError {
    GatherError::Service { service: format!("systemd at {address}"), reason: error.to_string() }
}

fn texts(texts: &[String]) -> Value {
    Value::Array(texts.iter().cloned().map(Value::Text).collect())
}

fn first(values: Vec<Value>) -> Value {
    values.into_iter().next().unwrap_or(Value::Array(Vec::new()))
}

/// `(ssssssouso)`: name, description, load, active, sub, followed unit, path, job's number, type and path.
fn unit(value: Value) -> Option<Unit> {
    let mut items = value.into_items().into_iter().map(Value::into_text);
    let mut next = || items.next().flatten();
    let name = next()?;
    next()?;
    let (load, active, sub) = (next()?, next()?, next()?);
    next()?;
    Some(Unit { name, load, active, sub, path: next()? })
}
