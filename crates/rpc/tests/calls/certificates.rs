//! Authorities and certificates of tests, made by openssl.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

/// An authority with certificates for 127.0.0.1.
pub(crate) struct Authority(TempDir);

const KEY: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

pub(crate) fn authority(name: &str) -> Authority {
    let authority = Authority(TempDir::new().unwrap());
    let subject = format!("/CN={name}");
    authority.openssl(
        &["req", "-x509"],
        &["-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", &subject],
    );
    fs::write(authority.0.path().join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    authority
}

impl Authority {
    fn openssl(&self, command: &[&str], arguments: &[&str]) {
        let key: &[&str] = if command[0] == "req" { &KEY } else { &[] };
        let mut openssl = Command::new("openssl");
        let done =
            openssl.args(command).args(key).args(arguments).current_dir(self.0.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// The authority's own certificate.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// A certificate and its key.
    pub(crate) fn certificate(&self, name: &str) -> (PathBuf, PathBuf) {
        let [key, request, certificate] = ["key", "csr", "crt"].map(|end| format!("{name}.{end}"));
        let subject = format!("/CN={name}");
        self.openssl(&["req"], &["-nodes", "-keyout", &key, "-out", &request, "-subj", &subject]);
        let signing =
            ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "names"];
        let arguments = [&["-req", "-in", &request, "-out", &certificate][..], &signing].concat();
        self.openssl(&["x509"], &arguments);
        (self.0.path().join(certificate), self.0.path().join(key))
    }
}
