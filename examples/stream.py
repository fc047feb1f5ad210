"""Push sound as it comes, in pieces of any size, and get events as they close."""

from pathlib import Path

from streamsed import Detector, StreamConfig, file_chunks

SCENE = Path(__file__).parent / "scene.flac"


def main() -> None:
    detector = Detector.load(stream=StreamConfig(step=0.5, latency=1.0))
    n_samples = 0
    for chunk in file_chunks(SCENE, sample_rate=detector.sample_rate):
        for start in range(0, len(chunk), 4410):  # a tenth of a second at a time
            piece = chunk[start : start + 4410]
            n_samples += len(piece)
            now = n_samples / detector.sample_rate
            for event in detector.push(piece):
                print(f"at {now:5.2f} s: {event}")
    for event in detector.flush():
        print(f"at the end: {event}")


if __name__ == "__main__":
    main()
