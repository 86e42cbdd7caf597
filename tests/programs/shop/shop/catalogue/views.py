"""Pages of products: one as usual, two asynchronous."""

import asyncio

import httpx
from django.conf import settings
from django.db.models import Avg, Count
from django.http import JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render

from shop.catalogue.models import Product, Review
from shop.markers import current_marker, while_streaming_later


def product_page(request, sku):
    """A product with what people say of it."""
    product = get_object_or_404(Product.objects.with_supplier(), sku=sku)
    opinion = product.reviews.aggregate(stars=Avg("stars"), count=Count("pk"))
    reviews = product.reviews.select_related("customer").order_by("-stars", "pk")[:10]
    return render(
        request,
        "catalogue/product.html",
        {"product": product, "opinion": opinion, "reviews": reviews},
    )


async def scarce_products():
    """What has to be ordered soon."""
    found = Product.objects.for_sale().filter(stock__lt=5).order_by("stock", "sku")[:10]
    return [{"sku": product.sku, "stock": product.stock} async for product in found]


async def best_products():
    """What people like most."""
    liked = (
        Review.objects.values("product__sku")
        .annotate(stars=Avg("stars"))
        .order_by("-stars", "product__sku")[:5]
    )
    return [{"sku": row["product__sku"], "stars": row["stars"]} async for row in liked]


async def stock(request):
    """Two questions to the database at once, from an asynchronous view."""
    scarce, best, count = await asyncio.gather(
        scarce_products(), best_products(), Product.objects.acount()
    )
    return JsonResponse({"scarce": scarce, "best": best, "count": count})


async def rates(request):
    """What shipping costs, from another service, two kinds of it at once."""
    marker = current_marker()
    number = marker.number if marker is not None else 0
    async with httpx.AsyncClient(base_url=settings.SHIPPING_URL, timeout=10) as client:
        answers = await asyncio.gather(
            client.get("rates", params={"kind": "parcel", "r": number}),
            client.get("rates", params={"kind": "letter", "r": number}),
        )
    return JsonResponse({"rates": [answer.json() for answer in answers]})


async def price_list():
    """A line a product, as they come."""
    async for product in Product.objects.for_sale().order_by("sku"):
        yield f"{product.sku};{product.price}\n"


async def prices(request):
    """All prices, streamed."""
    return StreamingHttpResponse(
        while_streaming_later(price_list()), content_type="text/csv"
    )
