use std::time::{Duration, SystemTime};

use super::*;
use crate::inventory::{EXAMPLE, read};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn cloud() -> Cloud {
    read(EXAMPLE).unwrap().0
}

fn directory<'a>(cloud: &'a Cloud, beside: &Path, now: SystemTime) -> Directory<'a> {
    Directory::of(cloud, beside, now)
}

fn all(cloud: &Cloud) -> Vec<&Host> {
    cloud.hosts.iter().collect()
}

#[test]
fn what_is_missing_is_made_once_and_never_overwritten() {
    let (cloud, dir, now) = (cloud(), tempfile::tempdir().unwrap(), SystemTime::now());
    let certificates = directory(&cloud, dir.path(), now);
    assert!(certificates.make_authority().unwrap());
    assert_eq!(
        certificates.issue(&all(&cloud), |condition| !condition.serves()).unwrap().len(),
        cloud.hosts.len()
    );
    let loaded = certificates.load().unwrap();
    assert!(!certificates.make_authority().unwrap());
    assert!(certificates.issue(&all(&cloud), |condition| !condition.serves()).unwrap().is_empty());
    assert_eq!(certificates.load().unwrap(), loaded);

    use std::os::unix::fs::PermissionsExt as _;
    let mode = |name: &str| {
        fs::metadata(dir.path().join("certificates").join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(
        (mode(""), mode("ca.key"), mode("data1.key"), mode("data1.pem")),
        (0o700, 0o600, 0o600, 0o644)
    );
}

#[test]
fn a_front_is_known_by_the_shared_address_too() {
    let (cloud, dir) = (cloud(), tempfile::tempdir().unwrap());
    let certificates = directory(&cloud, dir.path(), SystemTime::now());
    certificates.make_authority().unwrap();
    certificates.issue(&all(&cloud), |_| true).unwrap();
    let shown = certificates.show().unwrap();
    let names = |file: &str| {
        let found = shown.iter().find(|shown| shown.path.ends_with(file)).unwrap();
        assert!(found.condition.serves(), "{}", found.condition);
        found.names.clone()
    };
    for name in
        ["front1.cloud.example", "front1", "skywatch.cloud.example", "10.10.0.31", "10.10.0.100", "localhost"]
    {
        assert!(names("front1.pem").iter().any(|own| own == name), "{name}");
    }
    assert!(!names("data1.pem").iter().any(|own| own == "10.10.0.100"));
    assert_eq!(shown.len(), cloud.hosts.len() + 1);
}

#[test]
fn what_does_not_serve_any_more_is_told() {
    let (cloud, dir, now) = (cloud(), tempfile::tempdir().unwrap(), SystemTime::now());
    let certificates = directory(&cloud, dir.path(), now);
    certificates.make_authority().unwrap();
    certificates.issue(&all(&cloud), |_| true).unwrap();
    let host = cloud.host("data1").unwrap();
    let at = |days: u32| directory(&cloud, dir.path(), now + DAY * days).condition(host).unwrap();
    assert!(matches!(at(0), Condition::Valid(_)), "{}", at(0));
    assert!(matches!(at(800), Condition::EndsSoon(_)), "{}", at(800));
    assert!(matches!(at(826), Condition::Ended(_)), "{}", at(826));
    let earlier = directory(&cloud, dir.path(), now - DAY * 3).condition(host).unwrap();
    assert!(matches!(earlier, Condition::NotYet(_)), "{earlier}");

    let renamed = read(&EXAMPLE.replace("10.10.0.21", "10.10.0.29")).unwrap().0;
    let condition = directory(&renamed, dir.path(), now).condition(renamed.host("data1").unwrap()).unwrap();
    assert_eq!(condition, Condition::LacksNames(vec!["10.10.0.29".to_owned()]));

    let file = |name: &str| dir.path().join("certificates").join(name);
    fs::copy(file("data2.key"), file("data1.key")).unwrap();
    assert_eq!(at(0), Condition::OtherKey);
    fs::copy(file("data2.pem"), file("data1.pem")).unwrap();
    assert!(matches!(at(0), Condition::LacksNames(_)), "{}", at(0));
    fs::write(file("data1.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert_eq!(at(0), Condition::Broken);
    fs::remove_file(file("data1.pem")).unwrap();
    assert_eq!(at(0), Condition::Missing);
    certificates.issue(&[host], |_| true).unwrap();

    fs::remove_file(file("ca.pem")).unwrap();
    assert!(matches!(certificates.make_authority().unwrap_err(), CertificateError::Missing { .. }));
    fs::remove_file(file("ca.key")).unwrap();
    certificates.make_authority().unwrap();
    assert_eq!(at(0), Condition::OtherAuthority);
}

#[test]
fn an_authority_that_ends_signs_no_more() {
    let (cloud, dir, now) = (cloud(), tempfile::tempdir().unwrap(), SystemTime::now());
    directory(&cloud, dir.path(), now).make_authority().unwrap();
    let later = directory(&cloud, dir.path(), now + DAY * 3640);
    let error = later.issue(&all(&cloud), |_| true).unwrap_err();
    assert!(matches!(error, CertificateError::Authority { source: AuthorityError::Ends(_), .. }), "{error}");
    let nearly = directory(&cloud, dir.path(), now + DAY * 3600);
    nearly.issue(&all(&cloud), |_| true).unwrap();
    let Condition::Valid(ends) = nearly.condition(cloud.host("data1").unwrap()).unwrap() else { panic!() };
    assert!(ends <= OffsetDateTime::from(now + DAY * 3650), "it does not outlive its authority");
}

#[test]
fn given_certificates_are_looked_at_and_left_alone() {
    let (own, dir, now) = (cloud(), tempfile::tempdir().unwrap(), SystemTime::now());
    let certificates = directory(&own, dir.path(), now);
    certificates.make_authority().unwrap();
    certificates.issue(&all(&own), |_| true).unwrap();
    let given = read(&EXAMPLE.replace("given = false", "given = true")).unwrap().0;
    let certificates = directory(&given, dir.path(), now);
    assert!(matches!(certificates.make_authority().unwrap_err(), CertificateError::Given));
    assert!(matches!(certificates.issue(&all(&given), |_| true).unwrap_err(), CertificateError::Given));
    assert_eq!(certificates.load().unwrap().hosts.len(), given.hosts.len());
    let late = directory(&given, dir.path(), now + DAY * 900);
    let error = late.load().unwrap_err().to_string();
    assert!(error.contains("meta1.pem: ended on ") && error.contains("elsewhere"), "{error}");
}
