"""A ``ScaledObject`` with the trigger ``nats-jetstream``, as KEDA 2.19 documents both, and no other field.

Source: keda.sh/docs/2.19/reference/scaledobject-spec and keda.sh/docs/2.19/scalers/nats-jetstream.
"""

# ruff: noqa: N815 - the names are KEDA's
from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Target(_Strict):
    name: str
    apiVersion: str = "apps/v1"
    kind: str = "Deployment"
    envSourceContainerName: str | None = None


class Authentication(_Strict):
    name: str
    kind: Literal["TriggerAuthentication", "ClusterTriggerAuthentication"] = "TriggerAuthentication"


class JetStream(_Strict):
    """All are texts; the scaler parses them."""

    natsServerMonitoringEndpoint: str = Field(pattern=r"^[a-z0-9.-]+:\d+$")
    account: str
    stream: str
    consumer: str
    lagThreshold: str = Field(default="10", pattern=r"^\d+$")
    activationLagThreshold: str = Field(default="0", pattern=r"^\d+$")
    useHttps: Literal["true", "false"] = "false"


class Trigger(_Strict):
    type: Literal["nats-jetstream"]
    metadata: JetStream
    name: str | None = None
    metricType: Literal["AverageValue", "Value"] = "AverageValue"
    useCachedMetrics: bool = False
    authenticationRef: Authentication | None = None


class Fallback(_Strict):
    failureThreshold: int = Field(ge=0)
    replicas: int = Field(ge=0)
    behavior: Literal["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"] = "static"


class Spec(_Strict):
    """Counts are of replicas; ``...Interval`` and ``...Period`` are seconds."""

    scaleTargetRef: Target
    triggers: list[Trigger] = Field(min_length=1)
    pollingInterval: int = Field(default=30, ge=1)
    initialCooldownPeriod: int = Field(default=0, ge=0)
    cooldownPeriod: int = Field(default=300, ge=0)
    idleReplicaCount: Literal[0] | None = None
    minReplicaCount: int = Field(default=0, ge=0)
    maxReplicaCount: int = Field(default=100, ge=1)
    fallback: Fallback | None = None
    advanced: dict[str, Any] | None = None


class ScaledObject(_Strict):
    apiVersion: Literal["keda.sh/v1alpha1"]
    kind: Literal["ScaledObject"]
    metadata: dict[str, Any]
    spec: Spec
