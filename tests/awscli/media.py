"""What the AWS CLI has no command for: to upload media, and to look into media that it got.

`media.py upload ENDPOINT STREAM COUNT` prints the numbers of the fragments it made, one a second.
`media.py numbers FILE` prints those that a file holds, and `media.py frames FILE` what is in it.
"""

import pathlib
import sys

import botocore.session

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "boto3"))

import mkv
from put_media import PutMedia

START_MS = 1_700_000_000_000


def upload(endpoint, stream, count):
    """With the credentials that the CLI uses."""
    session = botocore.session.Session()
    region = session.get_config_variable("region")
    upload = PutMedia(endpoint, session.get_credentials(), region, x_amzn_stream_name=stream)
    clusters = (mkv.cluster(START_MS + 1000 * number) for number in range(int(count)))
    upload.send(mkv.header() + b"".join(clusters) + mkv.end_of_fragment())
    return [ack["FragmentNumber"] for ack in upload.finish() if ack["EventType"] == "PERSISTED"]


def numbers(path):
    return [chunk.fragment_number for chunk in mkv.chunks(pathlib.Path(path).read_bytes())]


def frames(path):
    chunks = mkv.chunks(pathlib.Path(path).read_bytes())
    return [frame.decode().rstrip(". ") for chunk in chunks for frame in chunk.frames]


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    print(*{"upload": upload, "numbers": numbers, "frames": frames}[command](*arguments), sep="\n")
