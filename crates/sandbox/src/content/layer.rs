//! Layers: real compressed tar archives, so that `docker pull` and `helm pull` accept them.
//!
//! The archive is gzip with one stored (uncompressed) deflate block (RFC 1951, 3.2.4): it needs
//! no compressor, and its bytes can never change with a library's version.

use crate::digest::Digest;
use crate::random::Random;

/// A compressed archive, and the digest of what is inside (`diff_ids` of a configuration).
pub(crate) struct Layer {
    pub(crate) compressed: Vec<u8>,
    pub(crate) diff_id: Digest,
}

/// The layer of a key: one small file of random bytes.
pub(crate) fn layer(key: u64) -> Layer {
    let mut random = Random::new(key, 0x001a_7e55);
    let length = 64 + random.index(448);
    let mut payload = Vec::with_capacity(length + 8);
    while payload.len() < length {
        payload.extend_from_slice(&random.next().to_le_bytes());
    }
    payload.truncate(length);
    archive(&format!("app/{key:016x}"), &payload)
}

/// A compressed archive of one file.
pub(crate) fn archive(name: &str, payload: &[u8]) -> Layer {
    let tar = tar(name, payload);
    Layer {
        diff_id: Digest::of(&tar),
        compressed: gzip(&tar),
    }
}

/// POSIX ustar: a header block, the file padded to blocks, two blocks of zeros.
fn tar(name: &str, payload: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 512;
    let mut out = vec![0_u8; BLOCK + payload.len().div_ceil(BLOCK) * BLOCK + 2 * BLOCK];
    let mut field = |at: usize, bytes: &[u8]| {
        for (slot, byte) in out.iter_mut().skip(at).zip(bytes) {
            *slot = *byte;
        }
    };
    let name = &name.as_bytes()[..name.len().min(100)];
    field(0, name);
    field(100, b"0000644\0");
    field(108, b"0000000\0");
    field(116, b"0000000\0");
    field(124, format!("{:011o}\0", payload.len()).as_bytes());
    field(136, b"00000000000\0");
    field(148, b"        ");
    field(156, b"0");
    field(257, b"ustar\x0000");
    field(BLOCK, payload);
    let sum: u32 = out.iter().take(BLOCK).map(|byte| u32::from(*byte)).sum();
    for (slot, byte) in out.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *slot = byte;
    }
    out
}

/// RFC 1952 around stored blocks, no name, no time.
fn gzip(data: &[u8]) -> Vec<u8> {
    const STORED_LIMIT: usize = 65_535;
    let mut out = Vec::with_capacity(data.len() + 32);
    out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
    let mut chunks = data.chunks(STORED_LIMIT).peekable();
    while let Some(chunk) = chunks.next() {
        out.push(u8::from(chunks.peek().is_none()));
        let length = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out.extend_from_slice(&crc32(data).to_le_bytes());
    out.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    out
}

/// Eight tables, so that eight bytes are folded at once: a corpus of a million tags makes a
/// million layers.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0_u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                value >> 1 ^ 0xedb8_8320
            } else {
                value >> 1
            };
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

fn crc32(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    let mut eights = data.chunks_exact(8);
    for eight in &mut eights {
        let low = crc.to_le_bytes();
        let mut next = 0;
        for (position, byte) in eight.iter().enumerate() {
            let byte = byte ^ low.get(position).copied().unwrap_or(0);
            next ^= TABLES[7 - position][usize::from(byte)];
        }
        crc = next;
    }
    for byte in eights.remainder() {
        crc = crc >> 8 ^ TABLES[0][usize::from(crc.to_le_bytes()[0] ^ byte)];
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"The quick brown fox jumps over the lazy dog"), 0x414f_a339);
    }

    #[test]
    fn a_layer_is_a_function_of_its_key() {
        let (first, again, other) = (layer(7), layer(7), layer(8));
        assert_eq!(first.compressed, again.compressed);
        assert_ne!(first.compressed, other.compressed);
        assert_ne!(first.diff_id, Digest::of(&first.compressed));
    }

    #[test]
    fn the_stored_block_holds_the_archive_whose_digest_is_the_diff_id() {
        let layer = archive("chart/Chart.yaml", b"name: chart\n");
        let inside = &layer.compressed[15..layer.compressed.len() - 8];
        assert_eq!(Digest::of(inside), layer.diff_id);
        assert_eq!(&inside[512..524], b"name: chart\n");
        assert_eq!(inside.len() % 512, 0);
    }
}
