//! `skywatch ctl`: the administration of a cluster, with the commands and tables of `influxd-ctl`.
