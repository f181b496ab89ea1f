//! What a host is called and where it stands: the suite's ten tags.

use std::io::Write as _;

use crate::random::Random;

const REGIONS: [(&str, &[&str]); 9] = [
    ("us-east-1", &["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1e"]),
    ("us-west-1", &["us-west-1a", "us-west-1b"]),
    ("us-west-2", &["us-west-2a", "us-west-2b", "us-west-2c"]),
    ("eu-west-1", &["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
    ("eu-central-1", &["eu-central-1a", "eu-central-1b"]),
    ("ap-southeast-1", &["ap-southeast-1a", "ap-southeast-1b"]),
    ("ap-southeast-2", &["ap-southeast-2a", "ap-southeast-2b"]),
    ("ap-northeast-1", &["ap-northeast-1a", "ap-northeast-1c"]),
    ("sa-east-1", &["sa-east-1a", "sa-east-1b", "sa-east-1c"]),
];
const SYSTEMS: [&str; 3] = ["Ubuntu16.10", "Ubuntu16.04LTS", "Ubuntu15.10"];
const ARCHITECTURES: [&str; 2] = ["x64", "x86"];
const TEAMS: [&str; 4] = ["SF", "NYC", "LON", "CHI"];
const ENVIRONMENTS: [&str; 3] = ["production", "staging", "test"];

/// A sequence of its own for each purpose of each host.
pub(super) fn random_of(seed: u64, number: u64, purpose: u64) -> Random {
    Random::new(seed ^ (purpose << 48), number)
}

/// Appends the ten tags of a host, each after a comma.
pub(super) fn append_tags(out: &mut Vec<u8>, seed: u64, number: u64) {
    let mut random = random_of(seed, number, 0);
    let (region, datacenters) = random.choose(&REGIONS);
    write!(
        out,
        ",hostname=host_{number},region={region},datacenter={},rack={},os={},arch={},team={},service={},\
         service_version={},service_environment={}",
        random.choose(datacenters),
        random.below(100),
        random.choose(&SYSTEMS),
        random.choose(&ARCHITECTURES),
        random.choose(&TEAMS),
        random.below(20),
        random.below(2),
        random.choose(&ENVIRONMENTS),
    )
    .unwrap_or_default();
}
