//! Bodies of write requests, made before any server is measured, so that making them takes nothing from it.
//!
//! They are kept in memory up to a limit; what is more goes to a file without a name, which the kernel caches as far
//! as it can and which vanishes with the process.

use std::{fs::File, io::Write as _, os::unix::fs::FileExt as _, path::Path};

use anyhow::Context as _;

use crate::{Progress, dataset::Generator};

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    in_memory: Vec<Box<[u8]>>,
    file: Option<File>,
    /// Where each body in the file begins, and the end of the last.
    offsets: Vec<u64>,
    rows: Vec<u32>,
}

impl Bodies {
    /// Makes the next `steps` steps, with at most `memory_bytes` in memory and the rest in a file in `directory`.
    pub(crate) fn make(
        generator: &mut Generator,
        steps: u64,
        memory_bytes: u64,
        directory: &Path,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let mut bodies = Self::default();
        let mut in_memory_bytes = 0;
        let mut writer = None;
        generator.make(steps, |body, rows| {
            progress.check()?;
            bodies.rows.push(rows as u32);
            in_memory_bytes += body.len() as u64;
            if in_memory_bytes <= memory_bytes {
                bodies.in_memory.push(body.into());
                return Ok(());
            }
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    let file = tempfile::tempfile_in(directory).context("cannot make a file for the data")?;
                    bodies.offsets.push(0);
                    none.insert(std::io::BufWriter::with_capacity(1 << 20, file))
                }
            };
            bodies.offsets.push(bodies.offsets.last().copied().unwrap_or(0) + body.len() as u64);
            writer.write_all(body).context("cannot write the data to a file")
        })?;
        if let Some(writer) = writer {
            let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error);
            bodies.file = Some(file.context("cannot write the data to a file")?);
        }
        Ok(bodies)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Rows in all of them.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.iter().map(|&rows| u64::from(rows)).sum()
    }

    /// Rows of one; 0 of one that is not there.
    pub(crate) fn rows_of(&self, at: usize) -> u64 {
        self.rows.get(at).map_or(0, |&rows| u64::from(rows))
    }

    /// One of them, read into `buffer` if it is not in memory; `None` past the last.
    pub(crate) fn get<'a>(&'a self, at: usize, buffer: &'a mut Vec<u8>) -> anyhow::Result<Option<&'a [u8]>> {
        if let Some(body) = self.in_memory.get(at) {
            return Ok(Some(body));
        }
        let in_file = at - self.in_memory.len();
        let (Some(file), Some([start, end])) = (&self.file, self.offsets.get(in_file..in_file + 2)) else {
            return Ok(None);
        };
        buffer.resize((end - start) as usize, 0);
        file.read_exact_at(buffer, *start).context("cannot read the data back")?;
        Ok(Some(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Shape, UseCase, Values};

    #[test]
    fn bodies_are_the_same_from_memory_and_from_a_file() {
        let shape = Shape {
            use_case: UseCase::Devops,
            written: Values::Integer,
            hosts: 7,
            step_ns: 1_000_000_000,
            span_ns: 10_000_000_000,
            rows_per_batch: 50,
            seed: 3,
        };
        let directory = tempfile::tempdir().expect("a directory");
        let all_with = |memory_bytes| {
            let mut generator = Generator::new(&shape);
            let progress = Progress::silent();
            let mut part =
                |steps| Bodies::make(&mut generator, steps, memory_bytes, directory.path(), &progress);
            let parts = [part(4).expect("made"), part(6).expect("made")];
            assert_eq!(parts[0].rows() + parts[1].rows(), shape.rows());
            let mut buffer = Vec::new();
            let mut all = Vec::new();
            for bodies in &parts {
                for at in 0..bodies.len() {
                    let body = bodies.get(at, &mut buffer).expect("readable").expect("there");
                    assert_eq!(body.iter().filter(|&&byte| byte == b'\n').count() as u64, bodies.rows_of(at));
                    all.push(body.to_vec());
                }
                assert!(bodies.get(bodies.len(), &mut buffer).expect("no error").is_none());
            }
            all
        };
        let all = all_with(u64::MAX);
        assert_eq!(all, all_with(0));
        assert_eq!(all, all_with(30_000));
    }
}
