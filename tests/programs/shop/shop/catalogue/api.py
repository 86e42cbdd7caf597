"""The JSON API."""

from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from shop.catalogue.models import Product
from shop.catalogue.serializers import ProductSerializer


class ProductViewSet(ModelViewSet):
    serializer_class = ProductSerializer
    queryset = Product.objects.with_supplier().prefetch_related("tags")

    @action(detail=True, methods=["post"])
    def restock(self, request, pk=None):
        """More of one."""
        product = self.get_object()
        product.stock += int(request.data.get("quantity", 1))
        product.save(update_fields=["stock"])
        return Response({"stock": product.stock})
