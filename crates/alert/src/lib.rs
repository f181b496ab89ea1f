//! Alerting: rules, states, grouping and routing, and delivery to Discord that survives restarts.
//!
//! ```text
//!  rules file --config--> rules, contact points, policies
//!                            |
//!  QuerySource --evaluate--> samples --state--> alerts --notify::groups--> notices --notify::queue--> Discord
//!                            \________________________ core ________________________/   |
//!                                                        |                            sender
//!                                                      store (one file, replaced as a whole)
//! ```
//!
//! Everything but [`engine`](AlertEngine), the sender and the store is pure: time comes in as an argument, commands
//! come out. The binary implements [`QuerySource`] over its query engine and starts one [`AlertEngine`].

mod alert;
mod config;
mod core;
mod edition;
mod engine;
mod evaluate;
mod expression;
mod labels;
mod limits;
mod metrics;
mod notify;
mod rule;
mod secret;
mod sender;
mod source;
mod state;
mod store;
mod template;
mod time;
mod timing;
mod view;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use alert::{Alert, Kind};
pub use config::{ConfigError, Environment, Position, Problem, ProcessEnvironment, Sources};
pub use edition::Edition;
pub use engine::{AlertEngine, AlertHandle, EngineOptions, StartError};
pub use evaluate::{Evaluation, EvaluationError, Sample, evaluate};
pub use expression::{Evaluator, LabelledNumber, MathError, MathExpr, ReduceMode, Reducer};
pub use labels::Labels;
pub use limits::STATE_BYTES_MAX;
pub use metrics::Metrics;
pub use notify::queue::{Attempt, ChannelStatus, DeliveryRecord};
pub use rule::{
    AlertConfig, ContactPoint, DiscordSettings, ErrorPolicy, GroupBy, Integration, MatchPattern, Matcher,
    Mentions, NoDataPolicy, Node, NodeKind, NotifySettings, QueryNode, Route, Rule, Unit,
};
pub use secret::{WebhookUrl, WebhookUrlError};
pub use source::{Point, QueryFailure, QuerySource, Series};
pub use state::{Command, Event, Instance, RuleState, State};
pub use store::{StateProblem, StoreError, StoredState, adopt_state, stored_state};
pub use template::{Template, TemplateError};
pub use time::{Clock, SystemClock, Time};
pub use timing::{MuteTimes, MuteTiming, TimeInterval};
pub use view::{ChannelView, InstanceView, RuleView, StatusView, Transition};

/// A commented rules file to begin with: what `skywatch config default alerts` prints.
pub const EXAMPLE_RULES: &str = include_str!("../../../packaging/alerts.example.yaml");
