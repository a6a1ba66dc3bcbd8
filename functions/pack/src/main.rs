//! Packs a binary as the `bootstrap` of a function: `tegula-function-pack BINARY ZIP`.
//!
//! Zopfli takes a minute where zlib takes a second, and its archive is some twentieth smaller; what is unpacked is the same. The same bytes
//! give the same archive, which terraform compares.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(binary), Some(archive), None) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("expected a binary, and where its archive is to be".into());
    };
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .last_modified_time(DateTime::default())
        .unix_permissions(0o755);
    let mut zip = ZipWriter::new(File::create(archive)?);
    zip.start_file("bootstrap", options)?;
    zip.write_all(&fs::read(binary)?)?;
    zip.finish()?;
    Ok(())
}

/// Above 9 it is Zopfli, each one more a round of it.
const LEVEL: i64 = 14;
