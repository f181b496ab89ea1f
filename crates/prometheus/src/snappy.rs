//! Snappy's block format: the length comes first, so that it can be judged before anything is allocated.

/// The bytes are no snappy block; worded as InfluxDB does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("snappy: corrupt input")]
pub struct SnappyError;

/// How long the block will be when unpacked, as it says itself.
pub fn unpacked_length(block: &[u8]) -> Result<usize, SnappyError> {
    // An empty input is no block, not even an empty one.
    if block.is_empty() {
        return Err(SnappyError);
    }
    snap::raw::decompress_len(block).map_err(|_| SnappyError)
}

/// Unpacks a block into `out`, which is exactly as long as [`unpacked_length`] says.
pub fn unpack(block: &[u8], out: &mut [u8]) -> Result<(), SnappyError> {
    match snap::raw::Decoder::new().decompress(block, out) {
        Ok(length) if length == out.len() => Ok(()),
        Ok(_) | Err(_) => Err(SnappyError),
    }
}

/// Packs a block. It must be below 4 GiB.
pub fn compress(bytes: &[u8]) -> Result<Vec<u8>, SnappyError> {
    snap::raw::Encoder::new().compress_vec(bytes).map_err(|_| SnappyError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trips(bytes in any::<Vec<u8>>()) {
            let packed = compress(&bytes).unwrap();
            let mut unpacked = vec![0; unpacked_length(&packed).unwrap()];
            unpack(&packed, &mut unpacked).unwrap();
            prop_assert_eq!(unpacked, bytes);
        }

        #[test]
        fn never_panics(bytes in any::<Vec<u8>>()) {
            if let Ok(length) = unpacked_length(&bytes) {
                let outcome = unpack(&bytes, &mut vec![0; length.min(1 << 20)]);
                prop_assert!(outcome.is_ok() || outcome == Err(SnappyError));
            }
        }
    }

    #[test]
    fn nothing_is_no_block() {
        assert_eq!(unpacked_length(b""), Err(SnappyError));
        assert_eq!(unpack(b"garbage", &mut [0; 103]), Err(SnappyError));
    }
}
