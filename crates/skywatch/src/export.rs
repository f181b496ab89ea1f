//! `skywatch inspect export`.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};
use skywatch_backup::{ExportOptions, ExportStep, ExportSummary, Progress, Task, export};
use skywatch_model::TimeRange;

use crate::{cli::ExportArgs, ctl::warn};

pub(crate) fn run(args: &ExportArgs) -> Result<ExitCode> {
    let options = ExportOptions {
        database: args.db.clone(),
        policy: args.rp.clone(),
        measurements: args.measurement.clone(),
        range: args.times.range()?.unwrap_or(TimeRange::ALL),
    };
    let is_stdout = args.out.as_os_str() == "-";
    let summary = if is_stdout {
        write_to(io::stdout().lock(), args, &options)?
    } else {
        let file =
            File::create(&args.out).with_context(|| format!("cannot create {}", args.out.display()))?;
        let summary = write_to(&file, args, &options)?;
        file.sync_all().with_context(|| format!("cannot write {}", args.out.display()))?;
        summary
    };
    if !args.quiet {
        warn(&format!("exported {} points of {} databases", summary.points, summary.databases));
    }
    Ok(ExitCode::SUCCESS)
}

fn write_to(out: impl Write, args: &ExportArgs, options: &ExportOptions) -> Result<ExportSummary> {
    let progress = Progress::detect(args.quiet);
    let mut task: Option<Task> = None;
    let mut tell = |step| match (step, &mut task) {
        (ExportStep::Total(bytes), task) => *task = Some(progress.task("exporting", bytes)),
        (ExportStep::Done(bytes), Some(task)) => task.add(bytes),
        (ExportStep::Done(_), None) => {}
    };
    let mut out = BufWriter::with_capacity(1 << 20, out);
    let summary = if args.compress {
        let mut gzip = GzEncoder::new(out, Compression::fast());
        let summary = export(&args.data_dir, options, &mut gzip, &mut tell)?;
        gzip.finish().and_then(|mut out| out.flush()).context("cannot write the export")?;
        summary
    } else {
        export(&args.data_dir, options, &mut out, &mut tell)?
    };
    if let Some(task) = task {
        task.finish();
    }
    Ok(summary)
}
