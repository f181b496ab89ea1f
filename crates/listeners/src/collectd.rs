//! collectd's binary protocol: datagrams of typed parts, as its network plugin sends them, and the points they become.
//! Pure: passwords are asked for through a function, types are read from text.
//!
//! ```text
//!   part: type u16 | length u16 (with this head) | payload        numbers are big-endian, gauges little-endian
//!     host, plugin, instances, type, times    set what the values after them belong to
//!     values                                  count u16 | a byte of kind each | eight bytes each
//!     signature                               MAC of all that follows | name of the user
//!     encryption                              user | IV | AES-256-OFB of (SHA-1 of the rest | parts)
//! ```

mod packet;
mod points;
mod secured;
mod types;

pub use packet::PacketError;
pub use points::{MultiValue, Parser, Taken};
pub use secured::{Passwords, SecurityLevel};
pub use types::{TypesDb, TypesError};
