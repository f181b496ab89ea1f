//! `v1.databases`: every database and retention policy that the asker may read.

use crate::{Bucket, Call, Error, GroupKey, Kind, Stream, Table, Value, read::column_of};

pub(super) fn databases(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    for elsewhere in ["host", "token"] {
        if call.get(elsewhere).is_some() {
            return Err(call.error(format!("{elsewhere}: only this server's own databases can be listed")));
        }
    }
    let found = call.context.storage().buckets()?;
    let column = |label: &str, kind: Kind, cell: fn(&Bucket) -> Value| {
        column_of(label, kind, found.iter().map(cell).collect::<Vec<Value>>())
    };
    let columns = vec![
        column("organizationID", Kind::String, |_| Value::text("")),
        column("databaseName", Kind::String, |bucket| Value::text(parts(bucket).0)),
        column("retentionPolicy", Kind::String, |bucket| Value::text(parts(bucket).1)),
        column("retentionPeriod", Kind::Int, |bucket| Value::Int(bucket.retention_ns)),
        column("default", Kind::Bool, |bucket| Value::Bool(bucket.is_default)),
        column("bucketID", Kind::String, |_| Value::text("")),
    ];
    Ok(Value::Stream(Stream::ready(vec![Table::new(GroupKey::default(), columns)])))
}

/// Database and policy.
fn parts(bucket: &Bucket) -> (&str, &str) {
    bucket.name.split_once('/').unwrap_or((&bucket.name, ""))
}
