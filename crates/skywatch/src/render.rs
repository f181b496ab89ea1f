//! `skywatch render`: from an inventory to everything that is copied to the hosts of a cloud.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use skywatch_deploy::{
    RenderedFile, diff, inventory,
    output::{self, Change, Consent, Report},
    place,
};

pub(crate) const RENDER_EXAMPLES: &str = "\
Reads an inventory of hosts and what they are for, and writes for each host the files to copy to it: configurations, units, \
certificates. Passwords are made once, in secrets.toml beside the inventory. What somebody changed by hand is left alone and \
named. RUNBOOK.md below the directory tells what to do with it all, step by step.

Examples:
  skywatch render --example > cloud.toml              an annotated inventory to begin with
  skywatch render --inventory cloud.toml --out D      write below D, and tell what changed
  skywatch render --inventory cloud.toml --out D --check    only show what would change
  skywatch render --inventory cloud.toml --out D --verify   and have it looked at

Exit status: 0 done, or nothing to do; 1 when the inventory is wrong, or files are left as somebody changed them, or --check or \
--verify finds something.";

/// Options of `skywatch render`.
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// The inventory (TOML)
    #[arg(long, value_name = "FILE", required_unless_present = "example")]
    inventory: Option<PathBuf>,
    /// Where to write
    #[arg(long, value_name = "DIR", required_unless_present = "example")]
    out: Option<PathBuf>,
    /// Print an annotated inventory to begin with
    #[arg(long, conflicts_with_all = ["inventory", "out", "check", "force", "prune", "verify"])]
    example: bool,
    /// Write nothing; show what would change, and exit with 1 if anything would
    #[arg(long, conflicts_with_all = ["force", "prune"])]
    check: bool,
    /// Write over what was changed by hand
    #[arg(long)]
    force: bool,
    /// Remove what was rendered once and is not any more
    #[arg(long)]
    prune: bool,
    /// Have every file looked at by the program it is for, as far as it is installed here: haproxy, keepalived,
    /// systemd-analyze, openssl, sh, skywatch
    #[arg(long)]
    verify: bool,
}

pub(crate) fn run(args: &RenderArgs) -> Result<ExitCode> {
    let (Some(path), Some(out)) = (&args.inventory, &args.out) else {
        io::stdout().write_all(inventory::EXAMPLE.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    if args.check && !out.is_dir() {
        bail!("{}: nothing was rendered there yet", out.display());
    }
    let opened = place::open(path, SystemTime::now())?;
    let mut log = io::stderr();
    for problem in opened.problems.sorted() {
        writeln!(log, "{}: {problem}", path.display())?;
    }
    for made in &opened.made {
        writeln!(log, "{made}")?;
    }
    let files = skywatch_deploy::render(&opened.plan);
    if args.check {
        let is_fine = !args.verify || verify(&files)?;
        let is_done = check(out, &files)?;
        return Ok(if is_fine && is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let report = output::write(out, &files, Consent { force: args.force, prune: args.prune })
        .with_context(|| format!("rendering to {}", out.display()))?;
    tell(out, &report, args.prune)?;
    let is_fine = !args.verify || verify(&files)?;
    Ok(if is_fine && report.count(Change::ByHand) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says what became of the files.
fn tell(out: &Path, report: &Report, prune: bool) -> Result<()> {
    let mut print = io::stdout();
    for (change, what) in [(Change::Created, "created"), (Change::Changed, "changed")] {
        for path in report.of(change) {
            writeln!(print, "{what}  {path}")?;
        }
    }
    for path in report.of(Change::LeftOver) {
        match prune {
            true => writeln!(print, "removed  {path}")?,
            false => writeln!(print, "left over  {path}   (not rendered any more; --prune removes it)")?,
        }
    }
    for path in report.of(Change::ByHand) {
        writeln!(print, "changed by hand, left alone  {path}   (--force writes over it)")?;
    }
    let [created, changed, unchanged] =
        [Change::Created, Change::Changed, Change::Unchanged].map(|change| report.count(change));
    writeln!(print, "{}: {created} created, {changed} changed, {unchanged} unchanged", out.display())?;
    Ok(())
}

/// Says what programs have against the files; whether nothing.
fn verify(files: &[RenderedFile]) -> Result<bool> {
    let own = std::env::current_exe().context("finding this program")?;
    let mut print = io::stdout();
    let mut is_fine = true;
    for (program, verdict) in skywatch_deploy::verify::verify(files, &own)? {
        if verdict.is_missing {
            writeln!(print, "{program} is not installed here: its files were not looked at")?;
            continue;
        }
        for (path, words) in &verdict.refused {
            is_fine = false;
            writeln!(print, "{program} refuses {path}:\n  {}", words.replace('\n', "\n  "))?;
        }
        writeln!(print, "{program}: {} files are fine, {} are not", verdict.passed, verdict.refused.len())?;
    }
    Ok(is_fine)
}

/// Shows what writing would do; whether nothing.
fn check(out: &Path, files: &[RenderedFile]) -> Result<bool> {
    let report = output::compare(out, files)?;
    let mut print = io::stdout();
    for path in report.of(Change::LeftOver) {
        writeln!(print, "left over  {path}")?;
    }
    for file in files {
        let (what, old) = match report.changes.get(&file.path) {
            Some(Change::Created) => ("would be created", String::new()),
            Some(Change::Changed) => ("would change", read(&out.join(&file.path))?),
            Some(Change::ByHand) => ("was changed by hand", read(&out.join(&file.path))?),
            _ => continue,
        };
        writeln!(print, "{what}  {}", file.path)?;
        match file.mode & 0o044 {
            0 => writeln!(print, "  (it holds secrets: see for yourself)")?,
            _ => write!(print, "{}", diff(&old, &file.text))?,
        }
    }
    let due = report.changes.len() - report.count(Change::Unchanged);
    writeln!(print, "{}: {due} of {} files would change", out.display(), report.changes.len())?;
    Ok(due == 0)
}

fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
