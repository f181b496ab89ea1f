//! Packages of the standard library: which functions a path stands for.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use rustc_hash::FxHashMap;
use skywatch_flux::{File, Names};

use crate::{
    Context, Error, Record, Value,
    evaluate::assign,
    function::{Builtin, Function},
    functions::LIBRARIES,
    scope::Scope,
};

/// A part of a package; several may be of one.
pub(crate) struct Library {
    /// What `import` names; empty for what needs no import.
    pub(crate) path: &'static str,
    /// Functions that are built in.
    pub(crate) builtins: &'static [Builtin],
    /// Names that stand for no function.
    pub(crate) constants: fn() -> Vec<(&'static str, Value)>,
    /// Functions in Flux: assignments, which see the names of all that needs no import and of their own package.
    pub(crate) text: &'static str,
}

/// For libraries without constants.
pub(crate) const fn no_constants() -> Vec<(&'static str, Value)> {
    Vec::new()
}

/// The packages that a query has imported.
#[derive(Default)]
pub(crate) struct Packages {
    loaded: FxHashMap<&'static str, Record>,
    universe: Option<Scope>,
}

impl Packages {
    /// A scope with all that needs no import.
    pub(crate) fn universe(context: &mut Context<'_>) -> Result<Scope, Error> {
        if let Some(known) = &context.packages.universe {
            return Ok(known.clone());
        }
        let scope = Scope::default().library();
        // Known before it is full: the library's own text imports packages.
        context.packages.universe = Some(scope.clone());
        fill(context, "", &scope)?;
        Ok(scope)
    }

    /// The package of that path.
    pub(crate) fn import(context: &mut Context<'_>, path: &str) -> Result<Option<Record>, Error> {
        let Some(library) = LIBRARIES.iter().find(|library| library.path == path && !path.is_empty()) else {
            return Ok(None);
        };
        if let Some(known) = context.packages.loaded.get(library.path) {
            return Ok(Some(known.clone()));
        }
        let universe = Self::universe(context)?;
        let scope = universe.library();
        let members = fill(context, library.path, &scope)?;
        let record = Record::new(members);
        context.packages.loaded.insert(library.path, record.clone());
        Ok(Some(record))
    }
}

impl Drop for Packages {
    fn drop(&mut self) {
        if let Some(universe) = &self.universe {
            universe.forget_all();
        }
    }
}

/// Puts the names of a package into a scope; all of them.
fn fill(context: &mut Context<'_>, path: &str, scope: &Scope) -> Result<Vec<(Arc<str>, Value)>, Error> {
    let mut members = Vec::new();
    let mut add = |name: &str, value: Value| {
        let name: Arc<str> = Arc::from(name);
        scope.set(Arc::clone(&name), value.clone());
        members.push((name, value));
    };
    let libraries = || LIBRARIES.iter().filter(|library| library.path == path);
    for library in libraries() {
        for builtin in library.builtins {
            add(builtin.name, Value::Function(std::rc::Rc::new(Function::Builtin(builtin))));
        }
        for (name, value) in (library.constants)() {
            add(name, value);
        }
    }
    for library in libraries() {
        let Some(file) = texts().get(library.text) else { continue };
        let inner = scope.clone();
        for import in &file.imports {
            if let Some(package) = Packages::import(context, &import.path)? {
                inner.set(import_name(import), Value::Record(package));
            }
        }
        for assignment in assignments(file) {
            assign(context, &inner, assignment)?;
            members.extend(inner.get(&assignment.name).map(|value| (Arc::clone(&assignment.name), value)));
        }
    }
    Ok(members)
}

/// The name that an import gives to its package.
pub(crate) fn import_name(import: &skywatch_flux::Import) -> Arc<str> {
    let last = || import.path.rsplit('/').next().unwrap_or(&import.path);
    import.alias.clone().unwrap_or_else(|| Arc::from(last()))
}

fn assignments(file: &File) -> impl Iterator<Item = &skywatch_flux::Assignment> {
    file.statements.iter().filter_map(|statement| match statement {
        skywatch_flux::Statement::Assign(assignment) => Some(assignment),
        _ => None,
    })
}

/// The texts of all libraries, parsed once. One that does not parse is left out, which a test sees.
fn texts() -> &'static BTreeMap<&'static str, File> {
    static TEXTS: OnceLock<BTreeMap<&'static str, File>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let texts = LIBRARIES.iter().filter(|library| !library.text.is_empty());
        texts.filter_map(|library| Some((library.text, skywatch_flux::parse(library.text).ok()?))).collect()
    })
}

/// The names of all packages, and of what came with the request, for the check of a text before it runs.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    /// What came with the request.
    pub(crate) given: &'a [(Arc<str>, Value)],
}

impl Names for Known<'_> {
    fn is_universe(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| **given == *name) || member_names("").any(|known| known == name)
    }

    fn is_package(&self, path: &str) -> bool {
        LIBRARIES.iter().any(|library| library.path == path && !path.is_empty())
    }

    fn is_member(&self, path: &str, name: &str) -> bool {
        member_names(path).any(|known| known == name)
    }
}

fn member_names(path: &str) -> impl Iterator<Item = &'static str> {
    let libraries = LIBRARIES.iter().filter(move |library| library.path == path);
    libraries.flat_map(|library| {
        let builtins = library.builtins.iter().map(|builtin| builtin.name);
        let constants = (library.constants)().into_iter().map(|(name, _)| name);
        let written = texts().get(library.text).into_iter().flat_map(assignments);
        builtins.chain(constants).chain(written.map(|assignment| &*assignment.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_libraries_parse_and_define_names_once() {
        for library in LIBRARIES {
            if !library.text.is_empty() {
                skywatch_flux::parse(library.text).unwrap();
            }
        }
        let paths: std::collections::BTreeSet<&str> = LIBRARIES.iter().map(|library| library.path).collect();
        for path in paths {
            let mut names: Vec<&str> = member_names(path).collect();
            let all = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), all, "a name of {path:?} is defined twice");
        }
    }
}
