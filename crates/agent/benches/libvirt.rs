//! How long the virtual machines of a host take: `cargo bench -p skywatch-agent --bench libvirt`. The host is libvirt's
//! own test driver, so that this is the agent's share of a gather and libvirt's client, and no QEMU's.

use divan::{Bencher, black_box, counter::ItemsCount};
use skywatch_agent::input::Accumulator;
use skywatch_agent::{Config, Source};

fn main() {
    divan::main();
}

/// A configuration whose only input is a host of so many domains; the file has to stay while it is used.
fn host(domains: usize) -> (tempfile::NamedTempFile, Config) {
    let mut xml = "<node>".to_owned();
    for n in 0..domains {
        xml += &format!(
            "<domain type='test'><name>vm-{n:04}</name><uuid>{n:08x}-0000-4000-8000-000000000000</uuid>\
             <memory>65536</memory><vcpu>2</vcpu><os><type>hvm</type></os></domain>"
        );
    }
    xml += "</node>";
    let file = tempfile::NamedTempFile::new().expect("temporary file");
    std::fs::write(file.path(), xml).expect("written");
    let text =
        format!("[[inputs.libvirt]]\nlibvirt_uri = 'test://{}'\n[[outputs.file]]\n", file.path().display());
    (file, Config::parse_with(&text, "bench", &|_| None).expect("valid"))
}

#[divan::bench(args = [10, 300, 1_000])]
fn gather(bencher: Bencher<'_, '_>, domains: usize) {
    let (_file, mut config) = host(domains);
    let source = config.inputs.remove(0).input;
    let Source::Polled(mut input) = source else { unreachable!("libvirt is polled") };
    // The first gather connects.
    input.gather(&mut Accumulator::new(0)).expect("gathered");
    bencher.counter(ItemsCount::new(domains)).bench_local(|| {
        let mut acc = Accumulator::new(0);
        input.gather(&mut acc).expect("gathered");
        let (metrics, errors) = acc.into_parts();
        assert!(metrics.len() >= domains && errors.is_empty());
        black_box(metrics.len())
    });
}
