use super::{super::secured::testing, *};

/// `alice` has a password.
struct Alice;

impl Passwords for Alice {
    fn of(&self, user: &str) -> Option<String> {
        (user == "alice").then(|| "secret".to_owned())
    }

    fn are_known(&self) -> bool {
        true
    }
}

struct Nobody;

impl Passwords for Nobody {
    fn of(&self, _: &str) -> Option<String> {
        None
    }

    fn are_known(&self) -> bool {
        false
    }
}

fn part(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() + 4) as u16;
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), payload].concat()
}

fn text(kind: u16, text: &str) -> Vec<u8> {
    part(kind, &[text.as_bytes(), &[0]].concat())
}

fn values(values: &[(u8, [u8; 8])]) -> Vec<u8> {
    let mut payload = (values.len() as u16).to_be_bytes().to_vec();
    payload.extend(values.iter().map(|(kind, _)| *kind));
    payload.extend(values.iter().flat_map(|(_, bytes)| *bytes));
    part(0x0006, &payload)
}

/// Two gauges and a derive of `h`.
fn datagram() -> Vec<u8> {
    let gauges = [(1, 1.5f64.to_le_bytes()), (1, 2.5f64.to_le_bytes()), (1, 3.5f64.to_le_bytes())];
    [
        text(0x0000, "h"),
        part(0x0008, &((1_600_000_000u64 << 30) | (1 << 29)).to_be_bytes()),
        part(0x0009, &(10u64 << 30).to_be_bytes()),
        text(0x0002, "load"),
        text(0x0004, "load"),
        values(&gauges),
        text(0x0002, "cpu"),
        text(0x0003, "0"),
        text(0x0004, "cpu"),
        text(0x0005, "idle"),
        part(0x0001, &1_600_000_001u64.to_be_bytes()),
        values(&[(2, (-7i64).to_be_bytes())]),
    ]
    .concat()
}

fn parser(security: SecurityLevel, multi_value: MultiValue) -> Parser {
    Parser { types: TypesDb::built_in(), security, multi_value }
}

fn points(parser: &Parser, datagram: &[u8], passwords: &dyn Passwords) -> Result<Vec<String>, PacketError> {
    let mut batch = PointBatch::new();
    let taken = parser.parse(datagram, 5, passwords, &mut batch)?;
    assert_eq!(taken.points, batch.len() as u64);
    let line = |point: skywatch_model::line::PointRef<'_>| {
        let mut line = String::new();
        point.append_line(&mut line);
        line.trim_end().to_owned()
    };
    Ok(batch.points().map(line).collect())
}

const SPLIT: [&str; 4] = [
    "load_shortterm,host=h,type=load value=1.5 1600000000500000000",
    "load_midterm,host=h,type=load value=2.5 1600000000500000000",
    "load_longterm,host=h,type=load value=3.5 1600000000500000000",
    "cpu_value,host=h,instance=0,type=cpu,type_instance=idle value=-7 1600000001000000000",
];

#[test]
fn lists_of_values_become_points() {
    let split = parser(SecurityLevel::None, MultiValue::Split);
    assert_eq!(points(&split, &datagram(), &Nobody).unwrap(), SPLIT);
    let joined = points(&parser(SecurityLevel::None, MultiValue::Join), &datagram(), &Nobody).unwrap();
    assert_eq!(
        joined,
        [
            "load,host=h,type=load shortterm=1.5,midterm=2.5,longterm=3.5 1600000000500000000",
            "cpu,host=h,instance=0,type=cpu,type_instance=idle value=-7 1600000001000000000",
        ]
    );
}

#[test]
fn types_name_values_and_what_they_do_not_know_is_passed_over() {
    let types = TypesDb::parse("# a comment\nload a:GAUGE:0:100, b:GAUGE:U:U, c:COUNTER:0:U\n\n").unwrap();
    let parser = Parser { types, ..parser(SecurityLevel::None, MultiValue::Split) };
    let mut batch = PointBatch::new();
    let taken = parser.parse(&datagram(), 5, &Nobody, &mut batch).unwrap();
    assert_eq!(taken, Taken { points: 3, dropped: 0, unknown: 1 });
    let last = batch.points().last().map(|point| format!("{point:?}")).unwrap();
    assert!(last.starts_with("load_c,host=h,type=load {\"value\": Float(3.0)}"), "{last}");
    assert!(TypesDb::parse("load a:NUMBER:0:1").is_err());
    assert!(TypesDb::parse("load").is_err());
}

#[test]
fn a_gauge_without_a_value_costs_itself() {
    let datagram =
        [text(0x0002, "p"), values(&[(1, f64::NAN.to_le_bytes())]), values(&[(0, 3u64.to_be_bytes())])];
    let mut batch = PointBatch::new();
    let parser = parser(SecurityLevel::None, MultiValue::Split);
    let taken = parser.parse(&datagram.concat(), 5, &Nobody, &mut batch).unwrap();
    assert_eq!(taken, Taken { points: 1, dropped: 1, unknown: 0 });
}

#[test]
fn signatures_and_ciphers_are_those_of_users() {
    let (signed, encrypted) =
        (testing::sign("alice", "secret", &datagram()), testing::encrypt("alice", "secret", &datagram()));
    let at = |level| parser(level, MultiValue::Split);
    for (level, datagram, taken) in [
        (SecurityLevel::None, &signed, true),
        (SecurityLevel::Sign, &signed, true),
        (SecurityLevel::Encrypt, &signed, false),
        (SecurityLevel::None, &encrypted, true),
        (SecurityLevel::Encrypt, &encrypted, true),
        (SecurityLevel::Sign, &datagram(), false),
    ] {
        let expected: &[&str] = if taken { &SPLIT } else { &[] };
        assert_eq!(points(&at(level), datagram, &Alice).unwrap(), expected, "{level:?}");
    }
    // Without passwords a signature says nothing, and a cipher cannot be read.
    assert_eq!(points(&at(SecurityLevel::None), &signed, &Nobody).unwrap(), SPLIT);
    assert_eq!(points(&at(SecurityLevel::Sign), &signed, &Nobody).unwrap(), [""; 0]);
    assert_eq!(points(&at(SecurityLevel::None), &encrypted, &Nobody), Err(PacketError::NoPasswords));
    for wrong in
        [testing::sign("alice", "guess", &datagram()), testing::encrypt("alice", "guess", &datagram())]
    {
        let refused = points(&at(SecurityLevel::None), &wrong, &Alice);
        assert_eq!(refused, Err(PacketError::Signature("alice".to_owned())));
    }
    let stranger = testing::sign("bob", "secret", &datagram());
    assert_eq!(points(&at(SecurityLevel::None), &stranger, &Alice), Err(PacketError::User("bob".to_owned())));
}

#[test]
fn damage_never_gets_further_than_an_error() {
    let parser = parser(SecurityLevel::None, MultiValue::Split);
    let whole = [datagram(), testing::encrypt("alice", "secret", &datagram())].concat();
    for length in 0..whole.len() {
        let _taken = points(&parser, &whole[..length], &Alice);
        let mut changed = whole.clone();
        changed[length] ^= 0xff;
        let _taken = points(&parser, &changed, &Alice);
    }
    assert_eq!(points(&parser, &[0, 6, 0, 4], &Alice), Err(PacketError::Cut));
    assert_eq!(points(&parser, &[0, 6, 0, 0], &Alice), Err(PacketError::Cut));
    assert_eq!(points(&parser, &text(0, "h")[..4], &Alice), Err(PacketError::Cut));
}
