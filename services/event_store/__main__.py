"""``python -m services.event_store``"""

from contracts.services import Service
from infra.runtime.service import run_service
from services.event_store.handler import store
from services.event_store.settings import Settings

if __name__ == "__main__":
    run_service(Service.EVENT_STORE, store(Settings()))
