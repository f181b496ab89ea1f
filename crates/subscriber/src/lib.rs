//! Subscriptions at work: copies of writes on their way to other servers.
//!
//! ```text
//!   Node::write --copy--> Subscriber --offer--> Lane (bounded) --deliver--> Destination (HTTP, HTTPS, UDP)
//!                             |                   |
//!                       one Route a          ALL: a lane for each destination, so that a dead one holds up no other
//!                       subscription         ANY: one lane, its destinations in turn
//! ```
//!
//! A write is never slowed down and never fails because of a subscription: what a lane cannot take is dropped and
//! counted. What a destination does not take is not sent again, as in InfluxDB.

mod destination;
mod lane;
mod route;
mod subscriber;

pub use subscriber::{StartError, Subscriber, SubscriberConfig};
