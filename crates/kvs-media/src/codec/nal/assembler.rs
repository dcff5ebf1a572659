//! NAL units to access units; each is one frame.

use std::marker::PhantomData;

use bytes::{BufMut, Bytes, BytesMut};

use super::byte_stream::{annex_b, find_start_code, trim_zeros};
use super::lengths::length_prefixed;
use super::parameter_sets::{Learned, ParameterSets};
use super::{DecoderConfig, NalCodec, Role};

/// The largest access unit: the service takes no larger fragment. What is larger is no video.
const ACCESS_UNIT_BYTES_MAX: usize = 50 << 20;
/// Access units are cut from buffers of this size: large enough for several frames of a camera,
/// small enough that the last frame of one does not keep much alive.
const CHUNK_BYTES: usize = 64 << 10;

/// How many bytes hold a NAL unit's length in what comes out.
const LENGTH_SIZE: u8 = 4;
/// The most parameter sets that a stream can have at a time: 32 and 256 of H.264, fewer of H.265.
const NEW_SETS_MAX: usize = 32 + 256;

/// What the end of a pushed buffer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alignment {
    /// A buffer is one access unit.
    AccessUnit,
    /// A buffer holds whole NAL units.
    Nal,
    /// Nothing: a NAL unit may go on in the next buffer. With lengths, as [`Self::AccessUnit`].
    Unknown,
}

/// A coded picture with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit<C, T> {
    /// Its NAL units, each behind its length in 4 bytes; no delimiters, no filler, and no parameter
    /// sets but those that change before a picture that is no key frame.
    pub data: Bytes,
    /// Whether decoding can start here, judged by its NAL units.
    pub key: bool,
    /// The first stamp that came with one of its NAL units.
    pub stamp: Option<T>,
    /// The configuration, if it has changed since the last access unit.
    pub config: Option<C>,
}

/// A stream that cannot be assembled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssemblyError {
    /// No access unit ended for too many bytes. They have been dropped.
    #[error("a picture of more than {ACCESS_UNIT_BYTES_MAX} bytes")]
    TooLarge,
    /// Parameter sets changed too often without a picture. They have been dropped.
    #[error("more than {NEW_SETS_MAX} parameter sets without a picture")]
    TooManySets,
    /// A NAL unit's length reaches over the end of its buffer. The access unit has been dropped.
    #[error("a buffer is cut off inside a NAL unit")]
    CutOff,
}

/// How NAL units follow each other in what is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    StartCodes,
    /// Lengths of so many bytes.
    Lengths(u8),
}

/// Collects NAL units until an access unit is complete.
///
/// It ends at the end of a buffer whose `marker` is set or whose alignment says so, otherwise where
/// the next one begins: at a delimiter, parameter set or SEI, or at a slice that starts a picture,
/// once it has a slice of its own (H.264 section 7.4.1.2.3, H.265 section 7.4.2.4.4). A second
/// field of a picture that is coded as two fields counts as an access unit.
///
/// `T` is what the caller wants to know of an access unit's time.
#[derive(Debug)]
pub struct Assembler<C: NalCodec, T> {
    framing: Framing,
    alignment: Alignment,
    /// The configuration that came beside the stream, for one whose sets cannot be read here.
    given: Option<C::Config>,
    sets: ParameterSets,
    unit: Unit<T>,
    chunk: BytesMut,
    /// With [`Alignment::Unknown`]: bytes from the last start code on, whose NAL unit may go on.
    tail: BytesMut,
    /// How far `tail` has been searched for the next start code.
    searched: usize,
    /// The stamp of the NAL unit in `tail`.
    tail_stamp: Option<T>,
    codec: PhantomData<C>,
}

/// The access unit under way; its bytes are what stands in the chunk.
#[derive(Debug)]
struct Unit<T> {
    has_slice: bool,
    key: bool,
    stamp: Option<T>,
    /// Whether a parameter set has changed.
    changed: bool,
    /// Changed sets, until it shows whether the picture is a key frame.
    new_sets: Vec<Bytes>,
}

impl<T> Default for Unit<T> {
    fn default() -> Self {
        Self {
            has_slice: false,
            key: false,
            stamp: None,
            changed: false,
            new_sets: Vec::new(),
        }
    }
}

impl<C: NalCodec, T> Assembler<C, T> {
    /// An assembler for a byte stream (annex B) that has seen nothing.
    pub fn new(alignment: Alignment) -> Self {
        Self::of(Framing::StartCodes, alignment)
    }

    /// An assembler for NAL units with their lengths before them, as this configuration says. The
    /// first access unit reports it, where it has the parameter sets.
    ///
    /// # Errors
    /// The bytes are no configuration of the codec.
    pub fn with_lengths(
        config: &[u8],
        alignment: Alignment,
    ) -> Result<Self, <C::Config as DecoderConfig>::Error> {
        let config = C::Config::parse(config)?;
        let mut assembler = Self::of(Framing::Lengths(config.length_size()), alignment);
        let has_sets = config.sets().next().is_some();
        for set in config.sets() {
            assembler.sets.learn(C::set_id(set), set);
        }
        assembler.given = has_sets.then(|| config.with_length_size(LENGTH_SIZE));
        assembler.unit.changed = has_sets;
        Ok(assembler)
    }

    fn of(framing: Framing, alignment: Alignment) -> Self {
        Self {
            framing,
            alignment,
            given: None,
            sets: ParameterSets::default(),
            unit: Unit::default(),
            chunk: BytesMut::new(),
            tail: BytesMut::new(),
            searched: 0,
            tail_stamp: None,
            codec: PhantomData,
        }
    }

    /// The decoder's configuration so far; `None` until all kinds of parameter sets have come.
    pub fn config(&self) -> Option<C::Config> {
        C::Config::from_sets(&self.sets).or_else(|| self.given.clone())
    }

    /// Takes the next buffer of the stream. `stamp` belongs to the first access unit that begins in
    /// it, `marker` says that an access unit ends with it. Complete access units go to `out`.
    ///
    /// # Errors
    /// An access unit grows without end.
    pub fn push(
        &mut self,
        buffer: &[u8],
        stamp: Option<T>,
        marker: bool,
        out: &mut impl Extend<AccessUnit<C::Config, T>>,
    ) -> Result<(), AssemblyError> {
        let mut stamp = stamp;
        match self.framing {
            Framing::StartCodes if self.alignment == Alignment::Unknown => {
                self.push_to_tail(buffer, stamp.take(), out)?;
                if marker {
                    self.end_tail(out)?;
                }
            }
            Framing::StartCodes => {
                for nal in annex_b(buffer) {
                    self.nal(nal, &mut stamp, out)?;
                }
            }
            Framing::Lengths(size) => {
                for nal in length_prefixed(buffer, size) {
                    let Ok(nal) = nal else {
                        self.reset();
                        return Err(AssemblyError::CutOff);
                    };
                    self.nal(nal, &mut stamp, out)?;
                }
            }
        }
        // A buffer that holds no NAL unit, but a time, begins the access unit.
        self.unit.stamp = self.unit.stamp.take().or(stamp);
        if marker || self.buffers_are_units() {
            out.extend(self.end_unit());
        }
        Ok(())
    }

    fn buffers_are_units(&self) -> bool {
        match (self.framing, self.alignment) {
            (_, Alignment::AccessUnit) | (Framing::Lengths(_), Alignment::Unknown) => true,
            (_, Alignment::Nal) | (Framing::StartCodes, Alignment::Unknown) => false,
        }
    }

    /// Ends the stream: what there is of an access unit is complete.
    pub fn flush(
        &mut self,
        out: &mut impl Extend<AccessUnit<C::Config, T>>,
    ) -> Result<(), AssemblyError> {
        self.end_tail(out)?;
        out.extend(self.end_unit());
        Ok(())
    }

    /// Forgets the access unit under way, as after a seek. Parameter sets stay.
    pub fn reset(&mut self) {
        self.unit = Unit::default();
        self.chunk.clear();
        self.tail.clear();
        self.tail_stamp = None;
        self.searched = 0;
    }

    /// Adds to a NAL unit whose end is not known, and takes out all that are complete.
    fn push_to_tail(
        &mut self,
        buffer: &[u8],
        mut stamp: Option<T>,
        out: &mut impl Extend<AccessUnit<C::Config, T>>,
    ) -> Result<(), AssemblyError> {
        let old = self.tail.len();
        if old + buffer.len() > ACCESS_UNIT_BYTES_MAX {
            self.reset();
            return Err(AssemblyError::TooLarge);
        }
        let mut bytes = std::mem::take(&mut self.tail);
        bytes.extend_from_slice(buffer);
        let mut start = None;
        let mut from = self.searched;
        if old > 0 && bytes.starts_with(&[0, 0, 1]) {
            start = Some(0);
            from = from.max(3);
        }
        while let Some(code) = find_start_code(&bytes, from) {
            if let Some(start) = start {
                let mut nal_stamp = self.tail_stamp.take();
                let nal = trim_zeros(&bytes[start + 3..code]);
                self.nal(nal, &mut nal_stamp, out)?;
            }
            // The NAL unit begins behind its start code, which may itself be cut.
            if code + 3 > old {
                self.tail_stamp = stamp.take();
            }
            start = Some(code);
            from = code + 3;
        }
        // A start code may be cut off by the end of the buffer.
        let keep = start.unwrap_or(bytes.len().saturating_sub(2));
        self.searched = bytes.len().saturating_sub(2).max(from) - keep;
        self.tail = bytes.split_off(keep);
        self.searched = self.searched.min(self.tail.len());
        self.tail_stamp = self.tail_stamp.take().or(stamp);
        Ok(())
    }

    /// The NAL unit in the tail is complete.
    fn end_tail(
        &mut self,
        out: &mut impl Extend<AccessUnit<C::Config, T>>,
    ) -> Result<(), AssemblyError> {
        let tail = std::mem::take(&mut self.tail);
        self.searched = 0;
        let mut stamp = self.tail_stamp.take();
        for nal in annex_b(&tail) {
            self.nal(nal, &mut stamp, out)?;
        }
        Ok(())
    }

    fn nal(
        &mut self,
        nal: &[u8],
        stamp: &mut Option<T>,
        out: &mut impl Extend<AccessUnit<C::Config, T>>,
    ) -> Result<(), AssemblyError> {
        if !self.buffers_are_units() && self.unit.has_slice && C::begins_unit(nal) {
            out.extend(self.end_unit());
        }
        self.unit.stamp = self.unit.stamp.take().or_else(|| stamp.take());
        let role = C::role(nal);
        match role {
            Role::Padding => return Ok(()),
            _ if nal.is_empty() => return Ok(()),
            Role::ParameterSet if self.learn(nal)? != Learned::Broken => return Ok(()),
            _ => {}
        }
        self.unit.key |= C::starts_decoding(nal);
        if role == Role::Slice {
            let new_sets = std::mem::take(&mut self.unit.new_sets);
            if !self.unit.key {
                // A new configuration takes effect at key frames; this picture needs it now.
                new_sets.iter().try_for_each(|set| self.write(set))?;
            }
            self.unit.has_slice = true;
        }
        self.write(nal)
    }

    /// Takes note of a parameter set.
    fn learn(&mut self, nal: &[u8]) -> Result<Learned, AssemblyError> {
        let learned = self.sets.learn(C::set_id(nal), nal);
        if learned == Learned::Change {
            if self.unit.new_sets.len() == NEW_SETS_MAX {
                self.reset();
                return Err(AssemblyError::TooManySets);
            }
            self.unit.changed = true;
            self.unit.new_sets.push(Bytes::copy_from_slice(nal));
        }
        Ok(learned)
    }

    fn write(&mut self, nal: &[u8]) -> Result<(), AssemblyError> {
        let more = 4 + nal.len();
        if self.chunk.len() + more > ACCESS_UNIT_BYTES_MAX {
            self.reset();
            return Err(AssemblyError::TooLarge);
        }
        if self.chunk.capacity() - self.chunk.len() < more {
            let whole = (self.chunk.len() + more).max(CHUNK_BYTES);
            let begun = std::mem::replace(&mut self.chunk, BytesMut::with_capacity(whole));
            self.chunk.put_slice(&begun);
        }
        // Bounded above, so 32 bits hold it.
        self.chunk.put_u32(nal.len() as u32);
        self.chunk.put_slice(nal);
        Ok(())
    }

    /// The access unit under way, if it has a picture. Without one, its SEI, sets and stamp go to
    /// the next.
    fn end_unit(&mut self) -> Option<AccessUnit<C::Config, T>> {
        if !self.unit.has_slice {
            return None;
        }
        let unit = std::mem::take(&mut self.unit);
        Some(AccessUnit {
            data: self.chunk.split().freeze(),
            key: unit.key,
            stamp: unit.stamp,
            config: unit.changed.then(|| self.config()).flatten(),
        })
    }
}

#[cfg(test)]
mod tests;
