//! `snmp`: scalars and tables of devices, by SNMP v1, v2c and v3.
//!
//! ```text
//!   agents, in parallel --Session--> variables --convert--> fields and tags --rows--> metrics
//! ```

mod convert;
mod names;
mod options;
mod rows;
mod session;

use std::time::Duration;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::Metric;
use crate::net::parallel::{Asked, Parallel};
use options::{Agent, Field, Options, Table};
use rows::Rows;
use session::Session;
use snmp2::v3::Security;

/// How long all of one agent may take: many requests, each with a time limit of its own.
const AGENT_MAX: Duration = Duration::from_secs(300);

/// The input.
#[derive(Debug)]
struct Snmp {
    options: Options,
    parallel: Parallel,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Input>, ConfigError> {
    Ok(Box::new(Snmp { options: Options::from_section(section)?, parallel: Parallel::default() }))
}

impl Input for Snmp {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let (options, now_ns) = (&self.options, acc.now_ns());
        let agents = options.agents.iter().map(|agent| (agent.shown.clone(), ask(options, agent, now_ns)));
        self.parallel.ask(acc, AGENT_MAX, agents)
    }
}

/// Everything of one agent. A table that fails costs only itself, unless the options say otherwise.
async fn ask(options: &Options, agent: &Agent, now_ns: i64) -> Asked {
    let mut asked = Asked::default();
    let mut problems = Vec::new();
    if let Err(problem) = collect(options, agent, now_ns, &mut asked.metrics, &mut problems).await {
        problems.push(problem);
    }
    asked.problem = (!problems.is_empty()).then(|| problems.join("; "));
    asked
}

async fn collect(
    options: &Options,
    agent: &Agent,
    now_ns: i64,
    out: &mut Vec<Metric>,
    problems: &mut Vec<String>,
) -> Result<(), String> {
    let mut session = Session::open(options, agent).await?;
    let mut top = Metric::new(options.name.clone(), now_ns);
    top.set_tag(options.agent_host_tag.clone(), agent.host.clone());
    for field in &options.fields {
        match scalar(&mut session, field).await {
            Ok(None) => {}
            Ok(Some(value)) => rows::set(&mut top, field, value),
            Err(problem) => {
                let problem = format!("field {}: {problem}", field.name);
                if options.stop_on_error || session.is_dead() {
                    return Err(problem);
                }
                problems.push(problem);
            }
        }
    }
    for table in &options.tables {
        match read_table(&mut session, table).await {
            Ok(rows) => out.extend(rows.into_metrics(table, &top, &options.agent_host_tag)),
            Err(problem) => {
                let problem = format!("table {}: {problem}", table.name);
                if options.stop_on_error || session.is_dead() {
                    out.push(top);
                    return Err(problem);
                }
                problems.push(problem);
            }
        }
    }
    if !top.fields().is_empty() {
        out.insert(0, top);
    }
    Ok(())
}

async fn scalar(
    session: &mut Session<'_>,
    field: &Field,
) -> Result<Option<skywatch_model::FieldValue>, String> {
    match session.get(&field.oid).await? {
        Some(value) => convert::value(&value, &field.conversion),
        None => Ok(None),
    }
}

async fn read_table(session: &mut Session<'_>, table: &Table) -> Result<Rows, String> {
    let mut rows = Rows::default();
    // The table that translates indices has to be known before those that use it.
    let (first, rest): (Vec<_>, Vec<_>) = table.fields.iter().partition(|field| field.secondary_index_table);
    for field in first.into_iter().chain(rest) {
        let variables =
            session.walk(&field.oid).await.map_err(|problem| format!("{}: {problem}", field.name))?;
        for (index, value) in variables {
            if let Some(value) = convert::value(&value, &field.conversion)? {
                rows.add(field, &index, value);
            }
        }
    }
    Ok(rows)
}

/// The security of SNMPv3's user-based model (RFC 3414), as the options say.
fn security(options: &Options) -> Result<Security, String> {
    let v3 = &options.v3;
    let mut security = Security::new(v3.user.as_bytes(), v3.auth_password.as_bytes())
        .with_auth(v3.auth.clone())
        .with_context_name(&v3.context_name);
    if let Some(protocol) = v3.auth_protocol {
        security = security.with_auth_protocol(protocol);
    }
    if let Some(extension) = v3.key_extension {
        security = security.with_key_extension_method(extension);
    }
    Ok(security)
}

#[cfg(test)]
mod tests;
