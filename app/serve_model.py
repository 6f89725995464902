"""`tieout model serve`: the break scorer behind SageMaker's container contract (/ping, /invocations)."""

import uvicorn

from anomaly.model import InProcessScorer, cold_start
from anomaly.serve import ScoringApp
from app import logs

LOOPBACK = "127.0.0.1"


def serve_model(host: str, port: int) -> None:
    """Train the model, then answer until SIGTERM; in a container the host is 0.0.0.0, as SageMaker expects."""
    logs.configure("model")
    scorer = InProcessScorer(cold_start)
    scorer.warm()
    config = uvicorn.Config(ScoringApp(scorer), host=host, port=port, log_config=None, access_log=False, lifespan="on")
    uvicorn.Server(config).run()
