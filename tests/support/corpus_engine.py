"""The local engine without the command around it."""

from corpora import rows

from streamsed.corpus.files.listing import list_inputs
from streamsed.corpus.identity import Identity
from streamsed.corpus.local_engine import LocalEngine
from streamsed.corpus.pool import Limits
from streamsed.corpus.status import Status
from streamsed.corpus.tables.parts import PartWriter
from streamsed.corpus.worker import CorpusWorker, WorkSettings


def work(
    shipped, recordings, out, *, make=CorpusWorker, limits=None, piece=1200.0, **more
):
    """Do recordings; return the rows of their files by their names."""
    out.mkdir()
    info = shipped.info
    identity = Identity.of(
        shipped, info.stream, info.post, labels=info.labels, scores=False
    )
    settings = WorkSettings(
        model="default",
        engine={
            "threads": 1,
            "engine": shipped.chosen.engine,
            "precision": shipped.chosen.precision,
        },
        stream=info.stream,
        post=info.post,
        labels=info.labels,
        keep_scores=more.pop("keep_scores", False),
        piece=piece,
        staging=out / ".staging",
        delays=(0.01, 0.01),
    )
    engine = LocalEngine(settings, info, 2, limits or Limits(), make=make, **more)
    files = list(list_inputs([str(recordings)], on_message=print))
    status = Status(out / "status.json", len(files), sum(f.size for f in files))
    writer = PartWriter(out, "1-of-1", identity.stamp())
    assert engine.run(files, writer, status)
    return {row["uri"].rpartition("/")[2]: row for row in rows(out, "files")}
