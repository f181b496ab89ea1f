//! What the server has: databases, policies, measurements, tags, fields. Fetched when first wanted, kept a while, and
//! never waited for longer than a person at a keyboard would: what comes later is there at the next try.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use skywatch_client::{Client, ClientError};
use skywatch_influxql::quote_ident;
use tokio::{runtime::Handle, sync::oneshot, time::timeout};

use crate::{
    answer::{Cell, Documents, Question, ask},
    render::{FieldKinds, NumberKind},
    settings::Settings,
};

/// How long what was fetched is believed.
const FRESH_FOR: Duration = Duration::from_secs(20);
/// How long typing waits.
const WAIT: Duration = Duration::from_millis(400);
/// Longest list of measurements or of values of a tag that is asked for.
const ASKED_MAX: usize = 2_000;
/// Longest list that is kept.
const NAMES_MAX: usize = 100_000;
/// Most lists that are kept.
const LISTS_MAX: usize = 500;

/// What can be listed. A measurement narrows it where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Listing {
    Databases,
    /// Of a database; of the chosen one if empty.
    Policies(String),
    Measurements,
    TagKeys(Option<String>),
    FieldKeys(Option<String>),
    TagValues(Option<String>, String),
    Users,
}

impl Listing {
    fn statement(&self) -> String {
        let from = |measurement: &Option<String>| {
            measurement.as_ref().map_or(String::new(), |name| format!(" FROM {}", quote_ident(name)))
        };
        match self {
            Self::Databases => "SHOW DATABASES".to_owned(),
            Self::Policies(database) if database.is_empty() => "SHOW RETENTION POLICIES".to_owned(),
            Self::Policies(database) => format!("SHOW RETENTION POLICIES ON {}", quote_ident(database)),
            Self::Measurements => format!("SHOW MEASUREMENTS LIMIT {ASKED_MAX}"),
            Self::TagKeys(measurement) => format!("SHOW TAG KEYS{}", from(measurement)),
            Self::FieldKeys(measurement) => format!("SHOW FIELD KEYS{}", from(measurement)),
            Self::TagValues(measurement, key) => {
                format!(
                    "SHOW TAG VALUES{} WITH KEY = {} LIMIT {ASKED_MAX}",
                    from(measurement),
                    quote_ident(key)
                )
            }
            Self::Users => "SHOW USERS".to_owned(),
        }
    }

    /// Which column has the names.
    fn column(&self) -> usize {
        usize::from(matches!(self, Self::TagValues(..)))
    }
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Schema {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    client: Client,
    database: String,
    lists: HashMap<Listing, List>,
}

#[derive(Debug, Clone)]
struct List {
    names: Arc<Vec<String>>,
    fetched: Instant,
}

impl Schema {
    pub(crate) fn new(client: Client, database: &str) -> Self {
        let state = State { client, database: database.to_owned(), lists: HashMap::new() };
        Self { state: Mutex::new(state) }
    }

    /// Another server.
    pub(crate) fn connect(&self, client: Client) {
        let mut state = self.lock();
        state.client = client;
        state.lists.clear();
    }

    /// Another database.
    pub(crate) fn choose(&self, database: &str) {
        let mut state = self.lock();
        database.clone_into(&mut state.database);
        state.lists.clear();
    }

    /// Something was changed.
    pub(crate) fn forget(&self) {
        self.lock().lists.clear();
    }

    /// The names, or those known so far. Must not be called from asynchronous code.
    pub(crate) fn names(self: &Arc<Self>, listing: &Listing, runtime: &Handle) -> Arc<Vec<String>> {
        let known = self.lock().lists.get(listing).cloned();
        match known {
            Some(list) if list.fetched.elapsed() < FRESH_FOR => list.names,
            known => {
                let fetched = self.fetch(listing.clone(), runtime);
                match runtime.block_on(async { timeout(WAIT, fetched).await }) {
                    Ok(Ok(names)) => names,
                    Ok(Err(_)) | Err(_) => known.map(|list| list.names).unwrap_or_default(),
                }
            }
        }
    }

    /// Goes on when nobody waits any more.
    fn fetch(self: &Arc<Self>, listing: Listing, runtime: &Handle) -> oneshot::Receiver<Arc<Vec<String>>> {
        let (sender, receiver) = oneshot::channel();
        let schema = self.clone();
        runtime.spawn(async move {
            let (client, database) = {
                let state = schema.lock();
                (state.client.clone(), state.database.clone())
            };
            let Ok(names) = list(&client, &database, &listing.statement(), listing.column()).await else {
                return;
            };
            let names = Arc::new(names);
            let mut state = schema.lock();
            if state.database == database && state.client.server() == client.server() {
                if state.lists.len() >= LISTS_MAX {
                    state.lists.clear();
                }
                state.lists.insert(listing, List { names: names.clone(), fetched: Instant::now() });
            }
            // Nobody may wait any more.
            drop(sender.send(names));
        });
        receiver
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The texts of one column of an answer, each once.
pub(crate) async fn list(
    client: &Client,
    database: &str,
    statement: &str,
    column: usize,
) -> Result<Vec<String>, ClientError> {
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    rows(client, database, "", statement, |row| {
        if let Some(Cell::Text(name)) = row.get(column)
            && names.len() < NAMES_MAX
            && seen.insert(name.clone())
        {
            names.push(name.clone());
        }
    })
    .await?;
    Ok(names)
}

/// Types and tag keys of a measurement, for line protocol. `source` is where the statement says it reads from.
pub(crate) async fn field_kinds(
    client: &Client,
    settings: &Settings,
    source: (Option<String>, Option<String>),
    measurement: &str,
) -> Result<FieldKinds, ClientError> {
    let database = source.0.as_deref().unwrap_or(&settings.database);
    let policy = source.1.as_deref().unwrap_or(&settings.policy);
    let mut kinds = FieldKinds::default();
    let policy_of = if policy.is_empty() { String::new() } else { format!("{}.", quote_ident(policy)) };
    let name = quote_ident(measurement);
    rows(client, database, policy, &format!("SHOW FIELD KEYS FROM {policy_of}{name}"), |row| {
        if let [Cell::Text(field), Cell::Text(kind)] = row {
            let kind = match kind.as_str() {
                "float" => NumberKind::Float,
                "integer" => NumberKind::Integer,
                "unsigned" => NumberKind::Unsigned,
                _ => return,
            };
            // Of a field with several types, InfluxDB reads the floats first.
            kinds.numbers.entry(field.clone()).or_insert(kind);
        }
    })
    .await?;
    rows(client, database, policy, &format!("SHOW TAG KEYS FROM {policy_of}{name}"), |row| {
        if let [Cell::Text(key)] = row {
            kinds.tags.insert(key.clone());
        }
    })
    .await?;
    Ok(kinds)
}

/// Gives every row of an answer to `take`.
async fn rows(
    client: &Client,
    database: &str,
    policy: &str,
    statement: &str,
    mut take: impl FnMut(&[Cell]),
) -> Result<(), ClientError> {
    let settings =
        Settings { database: database.to_owned(), policy: policy.to_owned(), ..Settings::default() };
    let question = Question { text: statement, settings: &settings, epoch: None, chunked: true };
    let mut documents = Documents::new(client, ask(client, &question).await?);
    while let Some(document) = documents.next().await? {
        if let Some(error) = document.error {
            return Err(ClientError::Refused(error));
        }
        for result in document.results {
            if let Some(error) = result.error {
                return Err(ClientError::Refused(error));
            }
            result.series.iter().flat_map(|series| &series.values).for_each(|row| take(row));
        }
    }
    Ok(())
}
