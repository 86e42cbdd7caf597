from rest_framework.routers import DefaultRouter

from shop.catalogue.api import ProductViewSet

router = DefaultRouter()
router.register("products", ProductViewSet)
urlpatterns = router.urls
