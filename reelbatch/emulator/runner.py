"""One run of one request: read the input, make the video, take its time."""

import asyncio
import time

from reelbatch.emulator.faults.moments import Output, Run
from reelbatch.emulator.faults.plan import Faults
from reelbatch.emulator.inputs import ImageToVideo, Refused, asked_size, read
from reelbatch.emulator.pictures import Pictures
from reelbatch.emulator.settings import Settings
from reelbatch.emulator.storage import Storage
from reelbatch.emulator.studio import Scene, Studio
from reelbatch.emulator.submission import Submission
from reelbatch.emulator.wire import Answer


class Runner:
    def __init__(
        self,
        settings: Settings,
        faults: Faults,
        pictures: Pictures,
        studio: Studio,
        storage: Storage,
    ) -> None:
        self.settings = settings
        self.faults = faults
        self.pictures = pictures
        self.studio = studio
        self.storage = storage

    async def run(self, submission: Submission) -> Answer:
        """What the model, or the machine it ran on, has to say."""
        seconds = self.settings.service_seconds * submission.slowness
        submission.log(f"Run {submission.attempts} on an emulated runner.")
        failure = await self.faults.answer("run", Run(submission=submission, seconds=seconds))
        if failure is not None:
            submission.log(str(failure.body.get("detail", failure.status)), "ERROR")
            return failure
        try:
            return await self._good(submission, seconds)
        except Refused as refusal:
            return refusal.answer

    async def _good(self, submission: Submission, seconds: float) -> Answer:
        ends = time.monotonic() + seconds
        scene = await self._scene(submission)
        output = Output(submission=submission)
        self.faults.touch("output", output)
        video = await self.studio.film(
            scene, submission.request_id, silent=output.silent, mute=output.mute
        )
        await asyncio.sleep(ends - time.monotonic())
        body = {"seed": scene.seed, **self._file(submission, video, output)}
        submission.log("Done.")
        return Answer(status=200, body=body, headers={"x-fal-billable-units": "1"})

    async def _scene(self, submission: Submission) -> Scene:
        wish = read(submission.endpoint, submission.body)
        if isinstance(wish, ImageToVideo):
            picture = await self.pictures.open(wish.image_url, submission.hosts)
            width, height = picture.film_size
            return Scene(wish.prompt, wish.seed, width, height, picture)
        width, height = asked_size(wish.resolution)
        return Scene(wish.prompt, wish.seed, width, height)

    def _file(self, submission: Submission, video: bytes, output: Output) -> dict[str, object]:
        if output.missing:
            return {}
        name = f"{submission.request_id}.mp4"
        stored = self.storage.keep(
            video, name, "video/mp4", submission=submission, wanted_bytes=self.settings.media_bytes
        )
        return {
            "video": {
                "url": output.url or submission.hosts.media + stored.path,
                "content_type": "video/mp4",
                "file_name": name,
                "file_size": stored.clip.size + output.size_error,
            }
        }
