//! Flux from clients: read, written, and run over a few points within little memory and few steps.

use std::{cell::Cell, sync::Arc};

use skywatch_flux_runtime::{
    Bucket, Cells, Column, Error, MemoryAccount, NamesRequest, NoMemory, ReadRequest, Request, Results,
    Series, Storage, StorageError, Table, Values, run,
};

/// 2026-01-01T00:00:00Z
const NOW_NS: i64 = 1_767_225_600_000_000_000;
const MEMORY_BYTES: u64 = 16 << 20;
/// Looks whether it has to stop, each after a few hundred steps.
const CHECKS_MAX: u32 = 20;
const SECOND_NS: i64 = 1_000_000_000;

/// Any text can be read; what was read can be written and read again, and means the same; whatever it asks for ends.
pub(crate) fn flux(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(file) = skywatch_flux::parse(text) else { return };
    let written = file.to_string();
    assert_eq!(skywatch_flux::parse(&written).as_ref(), Ok(&file), "{written}");
    let request = Request { text, now_ns: NOW_NS, names: Vec::new(), memory: Box::new(Little) };
    let storage = Points { checks: Cell::new(0) };
    // An error is as good as an answer.
    let _outcome = run(request, &storage, &mut Checked);
}

struct Little;

impl MemoryAccount for Little {
    fn hold(&mut self, bytes: u64) -> Result<(), NoMemory> {
        if bytes > MEMORY_BYTES {
            Err(NoMemory { message: "too much".to_owned(), is_hopeless: true })
        } else {
            Ok(())
        }
    }
}

/// Tables are what tables have to be.
struct Checked;

impl Results for Checked {
    fn table(&mut self, _result: &str, table: &Table) -> Result<(), Error> {
        for column in table.columns() {
            assert_eq!(column.rows(), table.rows(), "{table:?}");
            let same = table.columns().iter().filter(|other| other.label() == column.label());
            assert_eq!(same.count(), 1, "two columns are named {}", column.label());
        }
        for member in table.key().members() {
            let column = table.column(&member.label).expect("a column of the key is one of the table");
            assert_eq!(column.kind(), member.kind, "{table:?}");
        }
        Ok(())
    }

    fn end(&mut self, _result: &str) -> Result<(), Error> {
        Ok(())
    }
}

struct Points {
    checks: Cell<u32>,
}

impl Storage for Points {
    fn read(&self, request: &ReadRequest) -> Result<Vec<Series>, StorageError> {
        let inside = |time: &i64| (request.start_ns..request.stop_ns).contains(time);
        let times: Vec<i64> = (1..40).map(|n| NOW_NS - n * n * SECOND_NS).rev().filter(inside).collect();
        let series = |host: &str, field: &str, values: Values| Series {
            measurement: "cpu".into(),
            field: field.into(),
            tags: vec![("host".into(), host.into())],
            times: times.clone(),
            values: Column::new("_value".into(), values),
        };
        let floats = times.iter().map(|time| (time / SECOND_NS % 97) as f64 / 3.0).collect();
        let texts = times.iter().map(|time| Arc::from(format!("{}", time % 7))).collect();
        let mut found = vec![
            series("a", "load", Values::Float(Cells::all(floats))),
            series("b", "count", Values::Int(Cells::all(times.clone()))),
            series("b", "state", Values::String(Cells::all(texts))),
        ];
        found.retain(|series| !series.times.is_empty());
        Ok(found)
    }

    fn check(&self) -> Result<(), String> {
        let checks = self.checks.get() + 1;
        self.checks.set(checks);
        if checks > CHECKS_MAX { Err("enough".to_owned()) } else { Ok(()) }
    }

    fn buckets(&self) -> Result<Vec<Bucket>, StorageError> {
        Ok(vec![Bucket { name: "db/rp".into(), retention_ns: 0, is_default: true }])
    }

    fn names(&self, _request: &NamesRequest) -> Result<Vec<Arc<str>>, StorageError> {
        Ok(vec!["host".into(), "rack".into()])
    }
}
