//! NAL units: their kinds, and which of them start a picture that decodes by itself.

use crate::codec::nal::Bits;

/// nal_unit_type of the parameter sets.
pub(super) const SPS: u8 = 7;
pub(super) const PPS: u8 = 8;

/// What a NAL unit holds: nal_unit_type of H.264 table 7-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalKind {
    /// A slice that is not of an IDR picture, or partition A of one (1, 2).
    Slice,
    /// A slice of an IDR picture: decoding can start here (5).
    IdrSlice,
    /// Supplemental enhancement information (6).
    Sei,
    /// Sequence parameter set (7).
    Sps,
    /// Picture parameter set (8).
    Pps,
    /// Access unit delimiter (9).
    AccessUnitDelimiter,
    /// Filler data (12).
    Filler,
    /// Anything else.
    Other(u8),
}

impl NalKind {
    /// The kind of a NAL unit, by its first byte; an empty one is of kind 0.
    pub fn of(nal: &[u8]) -> Self {
        match nal.first().map_or(0, |byte| byte & 0x1F) {
            1 | 2 => Self::Slice,
            5 => Self::IdrSlice,
            6 => Self::Sei,
            SPS => Self::Sps,
            PPS => Self::Pps,
            9 => Self::AccessUnitDelimiter,
            12 => Self::Filler,
            other => Self::Other(other),
        }
    }
}

/// Whether a NAL unit behind a slice belongs to the next access unit.
pub(super) fn begins_unit(nal: &[u8]) -> bool {
    match NalKind::of(nal) {
        NalKind::AccessUnitDelimiter | NalKind::Sps | NalKind::Pps | NalKind::Sei => true,
        // first_mb_in_slice is 0, which Exp-Golomb codes as a single 1.
        NalKind::Slice | NalKind::IdrSlice => nal.get(1).is_some_and(|byte| byte & 0x80 != 0),
        NalKind::Other(14..=18) => true,
        NalKind::Filler | NalKind::Other(_) => false,
    }
}

/// Whether this NAL unit alone makes its access unit a key frame: it is an IDR slice, or has a
/// recovery point at which every picture is exact at once (an open GOP).
pub(super) fn starts_decoding(nal: &[u8]) -> bool {
    match NalKind::of(nal) {
        NalKind::IdrSlice => true,
        NalKind::Sei => has_exact_recovery_point(nal),
        _ => false,
    }
}

/// Looks for the SEI message "recovery point" (payloadType 6) with recovery_frame_cnt 0.
fn has_exact_recovery_point(sei: &[u8]) -> bool {
    const RECOVERY_POINT: usize = 6;
    /// The last byte of an RBSP without further messages: the stop bit.
    const STOP: u8 = 0x80;
    let mut rest = sei.get(1..).unwrap_or_default();
    while rest.first().is_some_and(|&byte| byte != STOP) {
        let Some((kind, behind)) = sei_number(rest) else {
            return false;
        };
        let Some((size, payload)) = sei_number(behind) else {
            return false;
        };
        if kind == RECOVERY_POINT {
            return Bits::of_payload(payload).exp_golomb() == Some(0);
        }
        rest = payload.get(size..).unwrap_or_default();
    }
    false
}

/// A payloadType or payloadSize: a sum of bytes; 255 means that the sum goes on.
fn sei_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let full = bytes.iter().take_while(|&&byte| byte == u8::MAX).count();
    let last = usize::from(*bytes.get(full)?);
    Some((full * 255 + last, &bytes[full + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_is_known_by_its_nal_units() {
        let p_slice = &[0x41, 0x9A][..];
        let buffering = &[0x06, 0, 1, 0x80, 0x80][..];
        // user data first, then recovery point with ue(0), 1-bit fields, stop bit
        let recovery = &[0x06, 5, 2, 7, 7, 6, 1, 0xC4, 0x80][..];
        let refresh = &[0x06, 6, 2, 0x0A, 0x40, 0x80][..];
        assert!(starts_decoding(&[0x65, 0x88]));
        assert!(starts_decoding(recovery));
        assert!(!starts_decoding(refresh), "exact only after some frames");
        for other in [p_slice, buffering, &[0x06, 5], &[0x06, 0xFF], &[0x06], &[]] {
            assert!(!starts_decoding(other), "{other:?}");
        }
    }
}
