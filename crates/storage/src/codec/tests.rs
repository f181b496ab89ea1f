//! Round trips of every codec, and decoders against noise.

use std::sync::Arc;

use proptest::prelude::*;
use skywatch_model::{Bitmap, FieldType, Values};

use super::*;

fn round_trip(values: &Values) -> Values {
    let mut out = Vec::new();
    encode(values, &mut out);
    decode(values.field_type(), values.len(), 0..values.len(), &out).unwrap()
}

/// Bits, so that NaN equals itself and the zeros differ.
fn float_bits(values: &Values) -> Vec<u64> {
    match values {
        Values::Float(values) => values.iter().map(|value| value.to_bits()).collect(),
        other => panic!("{other:?}"),
    }
}

fn some<T: std::fmt::Debug>(element: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(element, 1..300)
}

proptest! {
    #[test]
    fn floats(values in some(any::<f64>())) {
        let values = Values::Float(values);
        prop_assert_eq!(float_bits(&round_trip(&values)), float_bits(&values));
    }

    #[test]
    fn decimals(values in some((-100_000i32..100_000).prop_map(|cents| f64::from(cents) / 100.0))) {
        let values = Values::Float(values);
        prop_assert_eq!(float_bits(&round_trip(&values)), float_bits(&values));
    }

    #[test]
    fn integers(values in some(any::<i64>())) {
        let values = Values::Integer(values);
        prop_assert_eq!(&round_trip(&values), &values);
    }

    #[test]
    fn counters(start: u64, steps in some(0u64..1000)) {
        let mut value = start;
        let values = Values::Unsigned(steps.iter().map(|step| { value = value.wrapping_add(*step); value }).collect());
        prop_assert_eq!(&round_trip(&values), &values);
    }

    #[test]
    fn booleans(values in some(any::<bool>())) {
        let values = Values::Boolean(values);
        prop_assert_eq!(&round_trip(&values), &values);
    }

    #[test]
    fn strings(values in some("[a-c]{0,3}|.{0,40}")) {
        let values = Values::String(values.into_iter().map(Arc::from).collect());
        prop_assert_eq!(&round_trip(&values), &values);
    }

    #[test]
    fn bitmaps(values in some(any::<bool>())) {
        let mut bitmap = Bitmap::default();
        values.iter().for_each(|value| bitmap.push(*value));
        let mut out = Vec::new();
        bits::encode_bitmap(&bitmap, &mut out);
        let mut reader = Reader::new(&out);
        prop_assert_eq!(bits::decode_bitmap(&mut reader, values.len()).unwrap(), bitmap);
        prop_assert_eq!(reader.remaining(), 0);
    }

    #[test]
    fn times_of_any_distance(times in prop::collection::btree_set(any::<i64>(), 1..200)) {
        let times: Vec<i64> = times.into_iter().collect();
        let mut out = Vec::new();
        times::encode(&times, &mut out);
        let decoded = times::decode(&mut Reader::new(&out), times.len(), times[0], times[times.len() - 1]);
        prop_assert_eq!(decoded.unwrap(), times);
    }

    #[test]
    fn noise_is_refused_or_decoded_but_never_panics(noise: Vec<u8>, count in 1usize..1000, kind in 0usize..5) {
        let field_type =
            [FieldType::Integer, FieldType::Unsigned, FieldType::Float, FieldType::String, FieldType::Boolean][kind];
        if let Ok(values) = decode(field_type, count, 0..count, &noise) {
            prop_assert_eq!(values.len(), count);
        }
    }
}

#[test]
fn a_block_of_ordinary_measurements_is_small() {
    let mut state = 7u64;
    let mut walk = 50.0;
    let values: Vec<f64> = (0..1440)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            walk += ((state >> 33) % 5) as f64 - 2.0;
            walk
        })
        .collect();
    let mut out = Vec::new();
    encode(&Values::Float(values), &mut out);
    assert!(out.len() < 1440 * 36 / 100, "{} bytes", out.len());
    let mut out = Vec::new();
    encode(&Values::String(vec![Arc::from("running"); 1440]), &mut out);
    assert!(out.len() < 16, "{} bytes", out.len());
}

#[test]
fn regular_times_are_recognised() {
    assert_eq!(times::regular_step(&[5]), Some(0));
    assert_eq!(times::regular_step(&[5, 15, 25]), Some(10));
    assert_eq!(times::regular_step(&[5, 15, 26]), None);
    assert_eq!(times::regular_step(&[i64::MIN, i64::MAX]), Some(u64::MAX));
}
