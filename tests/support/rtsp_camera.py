"""A camera on the network that misbehaves on command: GStreamer's RTSP server.

It is run by the system's Python, for which Debian has GStreamer (`python3-gi`). Every
client receives the sounds of a file from its beginning. Lines on standard input change what it
does: `drop 0.3` loses so many of the packets from then on, at random.

    python3 rtsp_camera.py PORT RAW [USER PASSWORD]

`RAW` holds samples, s16, little-endian, mono, 44.1 kHz. Once it listens it prints `ready`.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

CAPS = "audio/x-raw,format=S16LE,rate=44100,channels=1,layout=interleaved"
LAUNCH = (
    '( filesrc location="{path}" blocksize=1764 ! rawaudioparse use-sink-caps=false '
    "format=pcm pcm-format=s16le sample-rate=44100 num-channels=1 ! identity name=loss "
    "drop-probability={drop} ! audioconvert ! rtpL16pay name=pay0 pt=96 )"
)


class Factory(GstRtspServer.RTSPMediaFactory):
    def __init__(self, path):
        super().__init__()
        self.path, self.drop, self.losses = path, 0.0, []

    def do_create_element(self, _):
        made = Gst.parse_launch(LAUNCH.format(path=self.path, drop=self.drop))
        self.losses.append(made.get_by_name("loss"))
        return made

    def command(self, channel, _):
        word, _, value = channel.readline().strip().partition(" ")
        if word == "drop":
            self.drop = float(value)
            for loss in self.losses:
                loss.set_property("drop-probability", self.drop)
        return bool(word)


def main(port, path, user="", password=""):
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=port)
    factory = Factory(path)
    if user:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        factory.add_role_from_structure(
            Gst.Structure.from_string(
                "viewer, media.factory.access=(boolean)true, "
                "media.factory.construct=(boolean)true"
            )[0]
        )
    server.get_mount_points().add_factory("/sound", factory)
    if not server.attach(None):
        sys.exit("the port cannot be used")
    GLib.io_add_watch(sys.stdin, GLib.IO_IN, factory.command)
    print("ready", flush=True)
    GLib.MainLoop().run()


main(*sys.argv[1:])
