//! InfluxDB 1.8's HTTP API over one Skywatch node.

mod encode;
