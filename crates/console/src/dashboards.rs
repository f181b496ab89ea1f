//! Dashboards in Grafana's JSON: two that ship inside the binary, and the files of a directory, which win by `uid`.
//!
//! A file may hold the bare model, an envelope `{"dashboard": {...}}` as Grafana's API returns it, or a resource as
//! Kubernetes has them, with the model as its `spec`. Constants among its `__inputs` are filled in, as nobody is asked for
//! them here. A file that cannot be used is listed with the reason rather than left out: whoever put it there wants to know.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use axum::{
    Json,
    extract::{Path as UrlPath, State},
};
use rust_embed::RustEmbed;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{error::ApiError, router::Console};

/// Larger files are no dashboards.
const FILE_BYTES_MAX: u64 = 8 << 20;

#[derive(RustEmbed)]
#[folder = "dashboards"]
struct Shipped;

/// A line of the list of dashboards.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) uid: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    /// File it was read from, `None` for those that ship.
    pub(crate) file: Option<String>,
    /// Why it cannot be shown, if so.
    pub(crate) error: Option<String>,
}

/// Finds dashboards; holds none, so that an edited file shows at the next request.
#[derive(Debug)]
pub(crate) struct DashboardStore {
    dir: Option<PathBuf>,
}

/// A dashboard file as found, good or bad.
struct Found {
    uid: String,
    file: Option<String>,
    model: Result<Value, String>,
}

pub(crate) async fn list(State(console): State<Console>) -> Json<Vec<Summary>> {
    let store = console.dashboards;
    Json(tokio::task::spawn_blocking(move || store.list()).await.unwrap_or_default())
}

pub(crate) async fn one(
    State(console): State<Console>,
    UrlPath(uid): UrlPath<String>,
) -> Result<Json<Value>, ApiError> {
    let store = console.dashboards;
    let missing = ApiError::NoSuchDashboard { uid: uid.clone() };
    tokio::task::spawn_blocking(move || store.get(&uid)).await.unwrap_or(Err(missing)).map(Json)
}

impl DashboardStore {
    pub(crate) fn new(dir: Option<PathBuf>) -> Self {
        Self { dir }
    }

    /// By title, those that cannot be shown last.
    pub(crate) fn list(&self) -> Vec<Summary> {
        let mut summaries: Vec<Summary> = self.find_all().into_values().map(Found::into_summary).collect();
        summaries.sort_by(|a, b| (a.error.is_some(), &a.title).cmp(&(b.error.is_some(), &b.title)));
        summaries
    }

    pub(crate) fn get(&self, uid: &str) -> Result<Value, ApiError> {
        let found =
            self.find_all().remove(uid).ok_or_else(|| ApiError::NoSuchDashboard { uid: uid.to_owned() })?;
        let file = found.file.unwrap_or_default();
        found.model.map_err(|reason| ApiError::BadDashboard { file, reason })
    }

    fn find_all(&self) -> BTreeMap<String, Found> {
        let mut all = BTreeMap::new();
        for name in Shipped::iter() {
            let Some(file) = Shipped::get(&name) else { continue };
            let found = Found::parse(name.trim_end_matches(".json"), None, &file.data);
            all.insert(found.uid.clone(), found);
        }
        // By the file that has a uid, so that a second one is told of it and not just gone.
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        for path in self.dir.as_deref().map(json_files).unwrap_or_default() {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let name = path.display().to_string();
            let mut found = match read_bounded(&path) {
                Ok(text) => Found::parse(&stem, Some(name.clone()), &text),
                Err(error) => Found { uid: stem, file: Some(name.clone()), model: Err(error.to_string()) },
            };
            if let Some(first) = files.get(&found.uid) {
                let taken = format!("the uid \"{}\" is that of {first}, which is shown", found.uid);
                found.model = Err(found.model.err().unwrap_or(taken));
                found.uid.clone_from(&name);
            }
            files.insert(found.uid.clone(), name);
            all.insert(found.uid.clone(), found);
        }
        all
    }
}

impl Found {
    fn parse(stem: &str, file: Option<String>, text: &[u8]) -> Self {
        match model_of(text) {
            Ok(mut model) => {
                let uid =
                    model.get("uid").and_then(Value::as_str).filter(|uid| !uid.is_empty()).unwrap_or(stem);
                let uid = uid.to_owned();
                if let Some(object) = model.as_object_mut() {
                    object.insert("uid".into(), Value::String(uid.clone()));
                }
                Self { uid, file, model: Ok(model) }
            }
            Err(reason) => Self { uid: stem.to_owned(), file, model: Err(reason) },
        }
    }

    fn into_summary(self) -> Summary {
        let text = |key: &str| {
            self.model.as_ref().ok().and_then(|model| model.get(key)?.as_str()).unwrap_or_default().to_owned()
        };
        let title = Some(text("title")).filter(|title| !title.is_empty()).unwrap_or_else(|| self.uid.clone());
        let tags = self.model.as_ref().ok().and_then(|model| model.get("tags")?.as_array());
        Summary {
            title,
            description: text("description"),
            tags: tags.into_iter().flatten().filter_map(|tag| Some(tag.as_str()?.to_owned())).collect(),
            uid: self.uid.clone(),
            error: self.model.as_ref().err().cloned(),
            file: self.file,
        }
    }
}

/// The dashboard inside the text: bare, in the envelope of Grafana's API, or as a resource's `spec`.
fn model_of(text: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(text).map_err(|error| format!("not JSON: {error}"))?;
    let mut model = match value {
        Value::Object(mut object) => match object.remove("dashboard") {
            Some(inner) => inner,
            None if is_resource(&object) => spec_of(object)?,
            None => Value::Object(object),
        },
        other => other,
    };
    // Until schema version 15 panels stood in rows; the web app makes a grid of them.
    if !["panels", "rows"].iter().any(|key| model.get(key).is_some_and(Value::is_array)) {
        return Err(
            "no list of \"panels\": this is not a Grafana dashboard of schema version 42 or older".into()
        );
    }
    let constants = constants_of(&model);
    if !constants.is_empty() {
        fill_in(&mut model, &constants);
    }
    Ok(model)
}

fn is_resource(object: &Map<String, Value>) -> bool {
    object.contains_key("apiVersion") && object.get("kind").and_then(Value::as_str) == Some("Dashboard")
}

/// The model of a resource. Its name is the uid, as the model has none of its own.
fn spec_of(mut object: Map<String, Value>) -> Result<Value, String> {
    let version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = object.get("metadata").and_then(|metadata| metadata.get("name")).cloned();
    let Some(Value::Object(mut spec)) = object.remove("spec") else {
        return Err("a resource without a \"spec\"".into());
    };
    if spec.contains_key("elements") && !spec.contains_key("panels") {
        return Err(format!(
            "{version} has another form, which the console does not read: export the classic model"
        ));
    }
    if let (Some(name), None) = (name, spec.get("uid").and_then(Value::as_str)) {
        spec.insert("uid".into(), name);
    }
    Ok(Value::Object(spec))
}

/// What stands for `${VAR_X}` in an exported file: name and value of each constant.
fn constants_of(model: &Value) -> Vec<(String, String)> {
    let inputs = model.get("__inputs").and_then(Value::as_array).into_iter().flatten();
    let constants = inputs.filter(|input| input.get("type").and_then(Value::as_str) == Some("constant"));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    constants
        .filter_map(|input| {
            Some((format!("${{{}}}", input.get("name")?.as_str()?), text(input.get("value")?)))
        })
        .collect()
}

fn fill_in(value: &mut Value, constants: &[(String, String)]) {
    match value {
        Value::String(text) => {
            for (name, constant) in constants {
                if text.contains(name.as_str()) {
                    *text = text.replace(name.as_str(), constant);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| fill_in(inner, constants)),
        Value::Object(object) => object.values_mut().for_each(|inner| fill_in(inner, constants)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn json_files(dir: &Path) -> Vec<PathBuf> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(dir = %dir.display(), %error, "the directory of dashboards cannot be read");
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    files
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = fs::metadata(path)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has {bytes} bytes; dashboards may have {FILE_BYTES_MAX}"),
        ));
    }
    fs::read(path)
}
