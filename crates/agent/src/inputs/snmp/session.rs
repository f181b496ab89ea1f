//! Requests to one agent: repeated when an answer is lost, walks bounded.

use snmp2::{AsyncSession, Error, Oid, Pdu, Value, Version, snmp};

use super::names::oid_text;
use super::options::{Agent, Options};

/// Variables of one walk, at most.
const WALK_MAX: usize = 200_000;
/// Variables asked for in one request by the agent's own limits, at least.
const REPETITIONS_MIN: u32 = 1;

/// A session with an agent.
///
/// Each attempt after a lost one has a socket of its own: on the old one an answer that is late would be taken for that of
/// the next request, and so on for ever.
pub(super) struct Session<'a> {
    options: &'a Options,
    agent: &'a Agent,
    session: AsyncSession,
    dead: bool,
}

/// A value that outlives the answer it came in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Variable {
    Integer(i64),
    /// Counters, gauges and time ticks.
    Unsigned(u64),
    Bytes(Vec<u8>),
    Address([u8; 4]),
    /// With a leading dot.
    Oid(String),
}

impl<'a> Session<'a> {
    /// Opens a session; with SNMPv3, asks the agent who it is.
    pub(super) async fn open(options: &'a Options, agent: &'a Agent) -> Result<Self, String> {
        let session = socket(options, agent).await?;
        let mut session = Self { options, agent, session, dead: false };
        for attempt in 0..session.attempts() {
            if attempt > 0 {
                session.session = socket(options, agent).await?;
            }
            if session.discover().await? {
                return Ok(session);
            }
        }
        Err(session.silent())
    }

    /// Whether the agent has stopped answering: there is no sense in asking it for more.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    fn attempts(&self) -> u32 {
        self.options.retries + 1
    }

    /// Asks an agent of SNMPv3 who it is and what time it has; whether it answered. The others need not be asked.
    async fn discover(&mut self) -> Result<bool, String> {
        match tokio::time::timeout(self.options.timeout, self.session.init()).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(Error::Receive | Error::Send)) | Err(_) => Ok(false),
            Ok(Err(error)) => Err(error.to_string()),
        }
    }

    fn silent(&mut self) -> String {
        self.dead = true;
        let timeout = self.options.timeout.as_millis();
        format!("no answer to {} requests of {timeout} ms each", self.attempts())
    }

    /// One variable; `None` if the agent has none of that name.
    pub(super) async fn get(&mut self, oid: &[u64]) -> Result<Option<Variable>, String> {
        let name = owned(oid)?;
        let variables = self.repeat(&Request::Get(name)).await?;
        Ok(variables.into_iter().next().and_then(|(_, variable)| variable))
    }

    /// Every variable below `oid`, by the rest of its name, with a leading dot.
    pub(super) async fn walk(&mut self, oid: &[u64]) -> Result<Vec<(String, Variable)>, String> {
        let mut found = Vec::new();
        let mut at = oid.to_vec();
        loop {
            let name = owned(&at)?;
            let request = match self.session.version() {
                Version::V1 => Request::Next(name),
                Version::V2C | Version::V3 => Request::Bulk(name, self.options.max_repetitions),
            };
            let variables = self.repeat(&request).await?;
            if variables.is_empty() {
                return Ok(found);
            }
            for (name, variable) in variables {
                let Some(variable) = variable else { return Ok(found) };
                if !name.starts_with(oid) || name.len() == oid.len() {
                    return Ok(found);
                }
                if name <= at {
                    return Err(format!("the agent repeats itself at {}", oid_text(&name)));
                }
                if found.len() >= WALK_MAX {
                    return Err(format!("more than {WALK_MAX} rows"));
                }
                found.push((oid_text(&name[oid.len()..]), variable));
                at = name;
            }
        }
    }

    /// Asks until there is an answer, as often as the options say.
    async fn repeat(&mut self, request: &Request) -> Result<Vec<(Vec<u64>, Option<Variable>)>, String> {
        let mut repetitions = self.options.max_repetitions.max(REPETITIONS_MIN);
        let mut lost = false;
        for _ in 0..self.attempts() {
            if lost {
                self.session = socket(self.options, self.agent).await?;
                if !self.discover().await? {
                    continue;
                }
            }
            lost = false;
            let asked = request.send(&mut self.session, repetitions);
            match tokio::time::timeout(self.options.timeout, asked).await {
                Ok(Ok(Answer::Variables(variables))) => return Ok(variables),
                Ok(Ok(Answer::TooBig)) if repetitions > REPETITIONS_MIN => repetitions /= 2,
                Ok(Ok(Answer::TooBig)) => return Err("an answer is too big for the agent".to_owned()),
                Ok(Ok(Answer::Refused(why))) => return Err(why),
                // The agent's clock has moved on.
                Ok(Err(Error::AuthUpdated)) => {}
                // Lost or late.
                Ok(Err(Error::Receive | Error::Send | Error::RequestIdMismatch)) | Err(_) => lost = true,
                Ok(Err(error)) => return Err(error.to_string()),
            }
        }
        Err(self.silent())
    }
}

/// A socket of its own for an agent.
async fn socket(options: &Options, agent: &Agent) -> Result<AsyncSession, String> {
    let address = (agent.host.as_str(), agent.port);
    let first_id = rand::random_range(1..i32::MAX / 2);
    let community = options.community.as_bytes();
    let opened = async {
        match options.version {
            Version::V1 => AsyncSession::new_v1(address, community, first_id).await,
            Version::V2C => AsyncSession::new_v2c(address, community, first_id).await,
            Version::V3 => {
                let security = super::security(options).map_err(std::io::Error::other)?;
                AsyncSession::new_v3(address, first_id, security).await
            }
        }
    };
    tokio::time::timeout(options.timeout, opened)
        .await
        .map_err(|_| "its name is not resolved in time".to_owned())?
        .map_err(|error| error.to_string())
}

enum Request {
    Get(Oid<'static>),
    Next(Oid<'static>),
    Bulk(Oid<'static>, u32),
}

enum Answer {
    /// Names and values; `None` where there is no such variable, or no more.
    Variables(Vec<(Vec<u64>, Option<Variable>)>),
    TooBig,
    Refused(String),
}

impl Request {
    async fn send(&self, session: &mut AsyncSession, repetitions: u32) -> Result<Answer, Error> {
        let pdu = match self {
            Self::Get(oid) => session.get(oid).await?,
            Self::Next(oid) => session.getnext(oid).await?,
            Self::Bulk(oid, most) => session.getbulk(&[oid], 0, repetitions.min(*most).max(1)).await?,
        };
        Ok(read(&pdu))
    }
}

fn read(pdu: &Pdu<'_>) -> Answer {
    match pdu.error_status {
        snmp::ERRSTATUS_NOERROR => {
            let variables = pdu.varbinds.clone().map(|(name, value)| (parts(&name), variable(&value)));
            Answer::Variables(variables.collect())
        }
        snmp::ERRSTATUS_TOOBIG => Answer::TooBig,
        // What SNMPv1 says where later versions have values for it.
        snmp::ERRSTATUS_NOSUCHNAME => Answer::Variables(Vec::new()),
        snmp::ERRSTATUS_NOACCESS | snmp::ERRSTATUS_AUTHORIZATIONERROR => {
            Answer::Refused("the agent does not allow it".to_owned())
        }
        snmp::ERRSTATUS_GENERR => Answer::Refused("the agent has a general error".to_owned()),
        other => Answer::Refused(format!("the agent answers with error {other}")),
    }
}

fn variable(value: &Value<'_>) -> Option<Variable> {
    Some(match value {
        Value::Integer(number) => Variable::Integer(*number),
        Value::Boolean(yes) => Variable::Integer(i64::from(*yes)),
        Value::Counter32(number) | Value::Unsigned32(number) | Value::Timeticks(number) => {
            Variable::Unsigned(u64::from(*number))
        }
        Value::Counter64(number) => Variable::Unsigned(*number),
        Value::OctetString(bytes) | Value::Opaque(bytes) => Variable::Bytes(bytes.to_vec()),
        Value::IpAddress(address) => Variable::Address(*address),
        Value::ObjectIdentifier(oid) => Variable::Oid(oid_text(&parts(oid))),
        _ => return None,
    })
}

fn parts(oid: &Oid<'_>) -> Vec<u64> {
    oid.iter().map(Iterator::collect).unwrap_or_default()
}

fn owned(oid: &[u64]) -> Result<Oid<'static>, String> {
    Oid::from(oid).map_err(|_| format!("{} is no object identifier", oid_text(oid)))
}
