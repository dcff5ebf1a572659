//! The elements that describe a document: EBML header and Info.

use super::ebml::{Children, ID_BYTES_MAX, Malformed, SIZE_BYTES_MAX, id, text, uint};
use super::{DemuxErrorKind, Info};

/// The newest version of EBML that is read here.
const EBML_READ_VERSION_MAX: u64 = 1;
/// The newest version of Matroska: a document says which one a reader must know.
const DOC_TYPE_READ_VERSION_MAX: u64 = 4;
/// Matroska's default.
const TIMECODE_SCALE_NS: u64 = 1_000_000;

/// Checks the body of an EBML header.
pub(super) fn check(body: &[u8]) -> Result<(), DemuxErrorKind> {
    let malformed = |malformed| DemuxErrorKind::of(malformed, id::EBML);
    let mut doc_type = "matroska".to_owned();
    for child in Children::of(body) {
        let (id, body) = child.map_err(malformed)?;
        let max = match id {
            id::DOC_TYPE => {
                doc_type = text(id, body).map_err(malformed)?;
                continue;
            }
            id::EBML_READ_VERSION => EBML_READ_VERSION_MAX,
            id::DOC_TYPE_READ_VERSION => DOC_TYPE_READ_VERSION_MAX,
            id::EBML_MAX_ID_LENGTH => ID_BYTES_MAX as u64,
            id::EBML_MAX_SIZE_LENGTH => SIZE_BYTES_MAX as u64,
            _ => continue,
        };
        let value = uint(id, body).map_err(malformed)?;
        if value > max {
            let what = format!("element {:X} is {value}, more than {max}", id.0);
            return Err(DemuxErrorKind::UnsupportedDocument { what });
        }
    }
    match doc_type.as_str() {
        "matroska" | "webm" => Ok(()),
        _ => {
            let what = format!(
                "DocType {:?}",
                doc_type.chars().take(32).collect::<String>()
            );
            Err(DemuxErrorKind::UnsupportedDocument { what })
        }
    }
}

/// Reads the body of an Info element.
pub(super) fn info(body: &[u8]) -> Result<Info, Malformed> {
    let mut info = Info::default();
    for child in Children::of(body) {
        let (id, body) = child?;
        match id {
            id::TIMECODE_SCALE => info.timecode_scale_ns = uint(id, body)?,
            id::TITLE => info.title = Some(text(id, body)?),
            id::WRITING_APP => info.writing_app = Some(text(id, body)?),
            _ => {}
        }
    }
    if info.timecode_scale_ns == 0 {
        return Err(Malformed::Value(id::TIMECODE_SCALE));
    }
    Ok(info)
}

impl Default for Info {
    fn default() -> Self {
        Self {
            timecode_scale_ns: TIMECODE_SCALE_NS,
            title: None,
            writing_app: None,
        }
    }
}
