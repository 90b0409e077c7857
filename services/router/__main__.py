"""``python -m services.router``"""

from contracts.services import Service
from infra.runtime.service import run_service
from services.router.handler import router
from services.router.settings import Settings

if __name__ == "__main__":
    run_service(Service.ROUTER, router(Settings()))
