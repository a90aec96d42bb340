"""Small federations of real processes for benchmarks of the wire: the hashing encoder, a few documents each."""

from pathlib import Path

from fedrag.config import CoordinatorConfig, Limits
from fedrag.core.config import PluginConfig
from fedrag.core.question import AskRequest, Question
from fedrag.core.wire import ReleaseClass
from fedrag.local_federation import LocalFederation
from retriever_node.config import CollectionConfig, NodeConfig, QuotaConfig

ASKED = AskRequest(question=Question(text="How is bleeding on warfarin reversed?"))


def small_federation(folder: Path, hospitals: int, deadline_ms: int) -> LocalFederation:
    configs = []
    for number in range(hospitals):
        name, source = f"hospital-{number}", folder / "documents" / str(number)
        source.mkdir(parents=True)
        for place in range(20):
            text = f"At {name} bleeding on warfarin, case {place}: vitamin K, {place + 1} mg."
            (source / f"{place}.md").write_text(f"# {name}\n\n## Case {place}\n{text}\n")
        configs.append(
            NodeConfig(
                node=name,
                name=name,
                encoder=PluginConfig(name="hashing"),
                collections=(CollectionConfig(id="d", folder=source, release_class=ReleaseClass.PROTOCOL),),
                quota=QuotaConfig(passages_per_asker_per_day=10**6, passages_per_coordinator_per_day=10**6),
            )
        )
    coordinator = CoordinatorConfig(
        coordinator="benchmark",
        encoder=PluginConfig(name="hashing"),
        routing=PluginConfig(name="broadcast"),
        limits=Limits(deadline_ms=deadline_ms),
    )
    return LocalFederation(folder / "federation", configs, coordinator)
