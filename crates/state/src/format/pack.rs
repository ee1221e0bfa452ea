//! Compression, one record at a time.
//!
//! Deflate from the Rust implementation that gzip over HTTP already brings along: manifests are mostly digests, on
//! which zstd gains nothing and costs a C library.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

const STORED: u8 = 0;
const DEFLATED: u8 = 1;

/// `bytes`, smaller where that is possible.
pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(vec![DEFLATED], Compression::fast());
    let deflated = encoder.write_all(bytes).and_then(|()| encoder.finish());
    match deflated {
        Ok(deflated) if deflated.len() <= bytes.len() => deflated,
        _ => [&[STORED], bytes].concat(),
    }
}

/// What was packed, if it is not larger than `limit` bytes.
pub(crate) fn unpack(packed: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
    let (kind, rest) = packed.split_first().ok_or_else(|| invalid("it is empty"))?;
    let mut bytes = Vec::new();
    match *kind {
        STORED => bytes.extend_from_slice(rest),
        DEFLATED => {
            let bound = limit as u64 + 1;
            DeflateDecoder::new(rest).take(bound).read_to_end(&mut bytes)?;
        }
        _ => return Err(invalid("it is compressed in an unknown way")),
    }
    if bytes.len() > limit {
        return Err(invalid("it is larger than it may be"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back_and_hardly_grows(bytes in proptest::collection::vec(any::<u8>(), 0..4_000)) {
            let packed = pack(&bytes);
            prop_assert!(packed.len() <= bytes.len() + 1);
            prop_assert_eq!(unpack(&packed, bytes.len()).unwrap(), bytes);
        }

        #[test]
        fn garbage_is_an_error_or_bytes_within_the_limit(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(out) = unpack(&bytes, 1_000) {
                prop_assert!(out.len() <= 1_000);
            }
        }
    }

    #[test]
    fn a_small_packet_that_unfolds_into_a_large_one_is_refused() {
        let packed = pack(&vec![0; 1 << 20]);
        assert!(packed.len() < 10_000);
        assert!(unpack(&packed, 1 << 19).is_err());
    }
}
