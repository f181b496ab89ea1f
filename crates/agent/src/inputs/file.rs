//! `file`: whole files, read at every interval, in any data format.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::character_encoding::Encoding;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::parser::{Defaults, Parser};
use crate::path_glob::PathGlob;

/// Bytes of one file, at most.
const FILE_MAX: u64 = 256 << 20;

/// The input.
#[derive(Debug)]
struct FileInput {
    files: Vec<PathGlob>,
    encoding: Encoding,
    name_tag: Option<String>,
    path_tag: Option<String>,
    parser: Box<dyn Parser>,
}

pub(super) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let patterns = section.strings("files")?.unwrap_or_default();
    if patterns.is_empty() {
        return Err(section.bad("files", "say which files are read"));
    }
    let files = patterns
        .iter()
        .map(|pattern| PathGlob::new(pattern).map_err(|why| section.bad("files", why)))
        .collect::<Result<_, _>>()?;
    let mut tag = |key| Ok::<_, ConfigError>(section.string(key)?.filter(|tag| !tag.is_empty()));
    let (name_tag, path_tag) = (tag("file_tag")?, tag("file_path_tag")?);
    Ok(Box::new(FileInput {
        files,
        encoding: Encoding::from_section(section)?,
        name_tag,
        path_tag,
        parser: crate::parsers::from_section(section, context, "influx")?,
    }))
}

impl Input for FileInput {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        for glob in &self.files {
            let paths = glob.files();
            if paths.is_empty() {
                acc.report(GatherError::Service {
                    service: glob.pattern().to_owned(),
                    reason: "no file matches".to_owned(),
                });
            }
            for path in paths {
                if let Err(error) = self.read(&path, acc) {
                    acc.report(error);
                }
            }
        }
        Ok(())
    }
}

impl FileInput {
    fn read(&self, path: &Path, acc: &mut Accumulator) -> Result<(), GatherError> {
        let failed = |source| GatherError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes)).map_err(failed)?;
        if bytes.len() as u64 > FILE_MAX {
            let reason = format!("it has more than {FILE_MAX} bytes");
            return Err(GatherError::Malformed { path: path.to_owned(), reason });
        }
        let mut metrics = Vec::new();
        let defaults = Defaults { name: "file".into(), now_ns: acc.now_ns() };
        let parsed = self.parser.fresh().parse(&self.encoding.decode(&bytes), &defaults, &mut metrics);
        for mut metric in metrics {
            if let Some(tag) = &self.name_tag {
                metric.set_tag(tag.clone(), path.file_name().unwrap_or_default().to_string_lossy());
            }
            if let Some(tag) = &self.path_tag {
                let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
                metric.set_tag(tag.clone(), whole.to_string_lossy());
            }
            acc.add(metric);
        }
        parsed.map_err(|error| GatherError::Malformed { path: path.to_owned(), reason: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;
    use crate::processors::testing::lines;

    #[test]
    fn files_with_their_tags_and_what_is_wrong_with_others() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a.lp"), "m x=1i 5\nbad\nm x=2i 6\n").expect("written");
        std::fs::write(path("b.lp"), "n x=3i 7\n").expect("written");
        let shown = dir.path().display();
        let options = format!(
            "files = ['{shown}/*.lp', '{shown}/*.none', '{shown}/absent']\nfile_tag = 'file'\nfile_path_tag = 'path'"
        );
        let mut input = build(&mut section_for_tests(&options), &Context::default()).expect("valid");
        let mut acc = Accumulator::new(9);
        input.gather(&mut acc).expect("gathered");
        let (metrics, errors) = acc.into_parts();
        assert_eq!(
            lines(&metrics),
            [
                format!("m,file=a.lp,path={shown}/a.lp x=1i 5"),
                format!("m,file=a.lp,path={shown}/a.lp x=2i 6"),
                format!("n,file=b.lp,path={shown}/b.lp x=3i 7"),
            ]
        );
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 3, "{errors:?}");
        assert!(errors[0].contains("a.lp") && errors[0].contains("(line 2)"), "{errors:?}");
        assert!(errors[1].contains("no file matches") && errors[2].contains("absent"), "{errors:?}");
        assert!(build(&mut section_for_tests(""), &Context::default()).is_err());
    }
}
