//! Pictures of H.264 and H.265: NAL units are assembled to access units, each a frame.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::marker::PhantomData;

use kvs_client::producer::TrackFormat;
use kvs_media::codec::nal::{AccessUnit, Assembler, AssemblyError, NalCodec};

use super::{CodedFrame, Stamp};
use crate::kvssink::caps::{self, CapsError, Framing, NalMedia};

/// What makes pictures of a pad's buffers, whatever the codec.
pub(in crate::kvssink) trait Pictures: Debug + Send {
    /// Takes a buffer; `ends_picture` says that the source marked the end of an access unit.
    fn push(
        &mut self,
        data: &[u8],
        stamp: Stamp,
        ends_picture: bool,
        frames: &mut VecDeque<CodedFrame>,
    ) -> Result<(), AssemblyError>;

    /// The stream ends: what there is of a picture is complete.
    fn finish(&mut self, frames: &mut VecDeque<CodedFrame>) -> Result<(), AssemblyError>;

    /// Forgets a picture under way.
    fn reset(&mut self);

    /// The track's format, where it is known.
    fn format(&self) -> Option<TrackFormat>;
}

/// Those of one codec.
#[derive(Debug)]
struct Assembled<C: NalCodec> {
    assembler: Assembler<C, Stamp>,
    /// Width and height, where the caps say them.
    size: Option<(u32, u32)>,
}

/// The pictures that come behind these caps.
pub(super) fn from_caps<C: NalCodec + Debug + Send + 'static>(
    caps: &gst::StructureRef,
    media: &NalMedia,
) -> Result<Box<dyn Pictures>, CapsError>
where
    C::Config: Send,
{
    let assembler = match caps::framing(caps, media)? {
        Framing::StartCodes(alignment) => Assembler::new(alignment),
        Framing::Lengths(config, alignment) => {
            let assembler = Assembler::with_lengths(&config, alignment);
            assembler.map_err(|error| media.broken(&error))?
        }
    };
    Ok(Box::new(Assembled::<C> {
        assembler,
        size: caps::size(caps),
    }))
}

impl<C: NalCodec + Debug + Send> Pictures for Assembled<C>
where
    C::Config: Send,
{
    fn push(
        &mut self,
        data: &[u8],
        stamp: Stamp,
        ends_picture: bool,
        frames: &mut VecDeque<CodedFrame>,
    ) -> Result<(), AssemblyError> {
        let size = self.size;
        let mut frames = Frames::<C>::new(frames, size);
        self.assembler
            .push(data, Some(stamp), ends_picture, &mut frames)
    }

    fn finish(&mut self, frames: &mut VecDeque<CodedFrame>) -> Result<(), AssemblyError> {
        self.assembler
            .flush(&mut Frames::<C>::new(frames, self.size))
    }

    fn reset(&mut self) {
        self.assembler.reset();
    }

    fn format(&self) -> Option<TrackFormat> {
        let config = self.assembler.config()?;
        Some(caps::video_track::<C>(&config, self.size))
    }
}

/// Takes access units in as frames.
struct Frames<'a, C> {
    frames: &'a mut VecDeque<CodedFrame>,
    size: Option<(u32, u32)>,
    codec: PhantomData<C>,
}

impl<'a, C> Frames<'a, C> {
    fn new(frames: &'a mut VecDeque<CodedFrame>, size: Option<(u32, u32)>) -> Self {
        Self {
            frames,
            size,
            codec: PhantomData,
        }
    }
}

impl<C: NalCodec> Extend<AccessUnit<C::Config, Stamp>> for Frames<'_, C> {
    fn extend<I: IntoIterator<Item = AccessUnit<C::Config, Stamp>>>(&mut self, units: I) {
        let size = self.size;
        self.frames.extend(units.into_iter().map(|unit| {
            let format = |config: C::Config| caps::video_track::<C>(&config, size);
            CodedFrame {
                data: unit.data,
                key: unit.key,
                stamp: unit.stamp.unwrap_or_default(),
                format: unit.config.map(format),
            }
        }));
    }
}
