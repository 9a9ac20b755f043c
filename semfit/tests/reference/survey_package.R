# Design-based answers of R's survey package for the rows, weights and classes of survey.R (run that first).
# Run: Rscript semfit/tests/reference/survey_package.R (from the root of the repository).
# Makes survey/package.json: a weighted mean and a weighted regression with classes as clusters (svymean, svyglm), the
# effective sample size (Kish), and the three factors with design-based covariances of the sample moments (as the
# package lavaan.survey does): Satorra-Bentler test and standard errors; and survey/package_sessionInfo.txt.
suppressMessages({library(survey); library(lavaan); library(jsonlite)})
HERE <- "semfit/tests/reference"
data <- cbind(read.csv(file.path(HERE, "estimators/data_hs.csv")), read.csv(file.path(HERE, "survey/design.csv")))
X <- paste0("x", 1:9)
HS <- "visual =~ x1 + x2 + x3
textual =~ x4 + x5 + x6
speed =~ x7 + x8 + x9"
plan <- svydesign(ids = ~class, weights = ~weight, data = data)
rows <- function(estimate, se) data.frame(name = names(estimate), estimate = signif(as.numeric(estimate), 12),
  se = signif(as.numeric(se), 12))
mean_x1 <- svymean(~x1, plan)
regression <- svyglm(x4 ~ x1 + x2 + female, plan)

# covariances and their covariance matrix, from the products of deviations as lavaan.survey takes them
centre <- as.numeric(svymean(reformulate(X), plan))
deviations <- sweep(as.matrix(data[X]), 2, centre)
places <- which(lower.tri(diag(9), diag = TRUE), arr.ind = TRUE)
products <- as.data.frame(deviations[, places[, 1]] * deviations[, places[, 2]])
names(products) <- paste0("s", seq_len(ncol(products)))
design <- svydesign(ids = ~class, weights = ~weight, data = cbind(data["class"], data["weight"], products))
moments <- svymean(reformulate(names(products)), design)
cov <- matrix(0, 9, 9, dimnames = list(X, X))
cov[places] <- as.numeric(moments)
cov[upper.tri(cov)] <- t(cov)[upper.tri(cov)]
n <- nrow(data)
fit <- cfa(HS, sample.cov = cov, sample.nobs = n, sample.cov.rescale = FALSE, NACOV = n * vcov(moments),
  estimator = "MLM")
e <- parameterEstimates(fit)
write_json(list(
  mean = rows(coef(mean_x1), SE(mean_x1)),
  regression = rows(coef(regression), sqrt(diag(vcov(regression)))),
  effective = sum(data$weight)^2 / sum(data$weight^2),
  factors = list(estimates = e[c("lhs", "op", "rhs", "est", "se")],
    chisq_scaled = unname(fitMeasures(fit, "chisq.scaled")), df = unname(fitMeasures(fit, "df")))),
  file.path(HERE, "survey/package.json"), auto_unbox = TRUE, digits = NA, na = "null")
writeLines(capture.output(sessionInfo()), file.path(HERE, "survey/package_sessionInfo.txt"))
