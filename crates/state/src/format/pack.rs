//! Compression, one record at a time.
//!
//! Deflate from the Rust implementation that gzip over HTTP already brings along: manifests are mostly digests, on
//! which zstd gains nothing and costs a C library.

use std::cell::RefCell;
use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

const STORED: u8 = 0;
const DEFLATED: u8 = 1;

/// What is shorter, in bytes, stays as it is: the record of an outcome has 330 and would lose a quarter of them, for which
/// tables of 160 kB are cleared.
const WORTH_IT: usize = 512;

/// By how much room for what is unpacked grows at a time, in bytes.
const PIECE: usize = 8 * 1024;

// Their tables take longer to set up than a manifest takes to pack, and so each thread keeps its own.
thread_local! {
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
    static DECOMPRESS: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// `bytes`, smaller where that is possible and worth it.
pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() < WORTH_IT {
        return [&[STORED], bytes].concat();
    }
    // Room for what is smaller; what is not is not wanted.
    let mut packed = Vec::with_capacity(bytes.len());
    packed.push(DEFLATED);
    let deflated = COMPRESS.with_borrow_mut(|compress| {
        compress.reset();
        compress.compress_vec(bytes, &mut packed, FlushCompress::Finish)
    });
    match deflated {
        Ok(Status::StreamEnd) if packed.len() <= bytes.len() => packed,
        _ => [&[STORED], bytes].concat(),
    }
}

/// What was packed, if it is not larger than `limit` bytes.
pub(crate) fn unpack(packed: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let (kind, rest) = packed.split_first().ok_or_else(|| invalid("it is empty"))?;
    match *kind {
        STORED if rest.len() <= limit => Ok(rest.to_vec()),
        STORED => Err(invalid(TOO_LARGE)),
        DEFLATED => DECOMPRESS.with_borrow_mut(|decompress| inflate(decompress, rest, limit)),
        _ => Err(invalid("it is compressed in an unknown way")),
    }
}

const TOO_LARGE: &str = "it is larger than it may be";

fn inflate(decompress: &mut Decompress, deflated: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    decompress.reset(false);
    let mut bytes = Vec::new();
    loop {
        bytes.reserve(PIECE);
        let read = usize::try_from(decompress.total_in()).unwrap_or(usize::MAX);
        let rest = deflated.get(read..).unwrap_or_default();
        let before = (decompress.total_in(), bytes.len());
        let status = decompress.decompress_vec(rest, &mut bytes, FlushDecompress::None)?;
        if bytes.len() > limit {
            return Err(invalid(TOO_LARGE));
        }
        if status == Status::StreamEnd {
            return Ok(bytes);
        }
        if before == (decompress.total_in(), bytes.len()) {
            return Err(invalid("it ends too early"));
        }
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
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
    fn what_is_short_is_stored_and_read_also_where_it_was_packed() {
        let short = b"0".repeat(WORTH_IT - 1);
        assert_eq!(pack(&short)[0], STORED);
        assert_eq!(pack(&b"0".repeat(WORTH_IT))[0], DEFLATED);
        let mut packed = Vec::with_capacity(WORTH_IT);
        packed.push(DEFLATED);
        Compress::new(Compression::fast(), false)
            .compress_vec(&short, &mut packed, FlushCompress::Finish)
            .unwrap();
        assert_eq!(unpack(&packed, WORTH_IT).unwrap(), short);
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let packed = pack(&b"sha256:0123456789abcdef".repeat(5_000));
        assert_eq!(packed[0], DEFLATED);
        for end in 0..packed.len() {
            assert!(unpack(&packed[..end], 1 << 20).is_err(), "{end}");
        }
        // And what follows is not held up by it.
        assert_eq!(
            unpack(&pack(b"aaaaaaaaaaaaaaaa"), 16).unwrap(),
            b"aaaaaaaaaaaaaaaa"
        );
    }

    #[test]
    fn a_small_packet_that_unfolds_into_a_large_one_is_refused() {
        let packed = pack(&vec![0; 1 << 20]);
        assert!(packed.len() < 10_000);
        assert!(unpack(&packed, 1 << 19).is_err());
    }
}
